//! Replies that do not fit: no record of a large set may be hidden for good.

use std::collections::HashSet;

use crate::wire::{Section, Sections, rtype, show_name};

/// The most names that are remembered as told.
const MOST: usize = 256;

/// Names whose replies were cut on a stream, each of which is told once.
#[derive(Default)]
pub(super) struct CutNames(HashSet<Box<[u8]>>);

impl CutNames {
    /// Tells of a name (wire form, lower case) whose reply was cut, unless it was told or too many were.
    pub(super) fn tell(&mut self, name: &[u8]) {
        if self.0.len() < MOST && !self.0.contains(name) {
            self.0.insert(name.into());
            tracing::warn!(
                "{}: more records than a message of 64 KiB holds: its answers are cut",
                show_name(name)
            );
        }
    }
}

/// Moves the answer's records, those of an alias chain at its front excepted, round to a random start.
pub(super) fn rotate_answers(sections: &mut Sections, rng: &mut fastrand::Rng) {
    let range = sections.range(Section::Answer);
    let answer = sections.records_mut().get_mut(range).unwrap_or_default();
    let aliases = answer.iter().take_while(|record| record.rtype == rtype::CNAME).count();
    let rest = answer.get_mut(aliases..).unwrap_or_default();
    if rest.len() > 1 {
        let start = rng.usize(..rest.len());
        rest.rotate_left(start);
    }
}
