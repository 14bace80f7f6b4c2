//! A file of weights: how often each address of a name comes first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::RwLock;

use super::order::address;
use crate::corefile::Zone;
use crate::wire::{MAX_NAME, Owner, Question, Sections};

/// What makes two lines share weights.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WeightsSpec {
    /// The file.
    pub path: PathBuf,
    /// How often it is looked at; zero for only once.
    pub reload: Duration,
}

/// Why a file of weights cannot be used.
#[derive(thiserror::Error, Debug)]
pub enum WeightsFault {
    /// It cannot be read, and will not be looked at again.
    #[error("{} can't be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it is none.
    #[error("{} line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// The weights of a name's addresses.
type Addresses = HashMap<IpAddr, u8, foldhash::fast::RandomState>;

/// Weights by name in wire form, lower case.
type Table = HashMap<Box<[u8]>, Addresses, foldhash::fast::RandomState>;

/// The weights of a file, replaced whole.
#[derive(Debug)]
pub struct Weights {
    /// What they are.
    spec: WeightsSpec,
    /// By name.
    table: RwLock<Table>,
}

impl Weights {
    /// No weights, until the file is read.
    #[must_use]
    pub fn new(spec: WeightsSpec) -> Self {
        Self { spec, table: RwLock::default() }
    }

    /// What they are.
    #[must_use]
    pub fn spec(&self) -> &WeightsSpec {
        &self.spec
    }

    /// The file holds `text` now. Errors: a line that is none; then what was read last stays.
    pub fn replace(&self, text: &str) -> Result<(), WeightsFault> {
        let new = read(text).map_err(|(line, problem)| WeightsFault::Line {
            path: self.spec.path.clone(),
            line,
            problem,
        })?;
        let old = std::mem::replace(&mut *self.table.write(), new);
        drop(old);
        Ok(())
    }

    /// Draws one of the address records in `places` by weight; who has none counts as 1.
    ///
    /// Cost: a lock that is only ever held for one replacement, two look-ups a record; no allocation.
    pub(super) fn draw(
        &self,
        sections: &Sections,
        places: Range<usize>,
        question: &Question,
        rng: &mut fastrand::Rng,
    ) -> Option<usize> {
        let table = self.table.read();
        let weight = |place: usize| {
            let record = sections.records().get(place)?;
            let ip = address(sections, record)?;
            let mut name = [0; MAX_NAME];
            let addresses = match record.owner {
                Owner::Question => table.get(question.lower()),
                Owner::Suffix(_) | Owner::Stored(_) | Owner::Target(_) => {
                    let length = sections.owner_name(record, question, &mut name);
                    // A length byte is at most 63, so it is never a capital letter.
                    name.make_ascii_lowercase();
                    table.get(name.get(..length)?)
                }
            };
            addresses?.get(&ip).copied()
        };
        let weight = |place: usize| u32::from(weight(place).unwrap_or(1));
        let all: u32 = places.clone().map(weight).sum();
        let mut left = rng.u32(..all.max(1));
        places.into_iter().find(|place| {
            let here = weight(*place);
            let found = left < here;
            left = left.saturating_sub(here);
            found
        })
    }
}

/// Reads a file: a name, and behind it a line for each address with its weight.
///
/// Errors: the number of a line and what is wrong with it.
fn read(text: &str) -> Result<Table, (usize, String)> {
    let mut table = Table::default();
    let mut name: Option<Box<[u8]>> = None;
    for (number, line) in text.lines().enumerate() {
        let fail = |problem: String| Err((number + 1, problem));
        let mut words = line.split_whitespace();
        let (first, second, third) = (words.next(), words.next(), words.next());
        match (first, second, third) {
            (None, ..) => {}
            (Some(first), ..) if first.starts_with('#') => {}
            (Some(first), None, _) => {
                if first.parse::<IpAddr>().is_ok() {
                    return fail(format!("the address `{first}` has no weight"));
                }
                match Zone::parse(first) {
                    Ok(zone) => {
                        table.entry(zone.wire().into()).or_default();
                        name = Some(zone.wire().into());
                    }
                    Err(fault) => return fail(format!("`{first}` is not a name: {fault}")),
                }
            }
            (Some(first), Some(second), None) => {
                let Ok(ip) = first.parse::<IpAddr>() else {
                    return fail(format!("`{first}` is not an address"));
                };
                let Some(weight) = second.parse::<u8>().ok().filter(|weight| *weight > 0) else {
                    return fail(format!("the weight `{second}` is not a number from 1 to 255"));
                };
                let Some(addresses) = name.as_ref().and_then(|name| table.get_mut(name)) else {
                    return fail("an address stands before the first name".to_owned());
                };
                // The first of two lines for an address counts.
                addresses.entry(ip.to_canonical()).or_insert(weight);
            }
            (Some(_), Some(_), Some(_)) => {
                return fail("neither a name, nor an address and its weight".to_owned());
            }
        }
    }
    Ok(table)
}
