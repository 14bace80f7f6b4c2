//! Names outside of the cluster, and the two upstreams that know them: slow, lossy, lying or dead.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use fastrand::Rng;

/// How many names there are.
const NAMES: u32 = 40;

/// How an upstream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    /// It answers soon.
    Well,
    /// It answers late, twice, in another order, or not at all.
    Lossy,
    /// It answers with other codes, other ids, other questions, other names, or nonsense.
    Lying,
    /// It says nothing.
    Silent,
    /// The network says that nobody is there.
    Gone,
}

/// All moods.
pub(crate) const MOODS: [Mood; 5] = [Mood::Well, Mood::Lossy, Mood::Lying, Mood::Silent, Mood::Gone];

/// What comes to a socket of ours.
type Arrival = (usize, io::Result<Vec<u8>>);

/// The upstreams.
pub(crate) struct Outside {
    /// How each is.
    moods: [Mood; 2],
    /// What is on its way: when it comes, and in which order.
    under_way: BTreeMap<(Duration, u64), Arrival>,
    /// How much was sent.
    sent: u64,
    /// How often each mood was met.
    pub(crate) met: BTreeMap<&'static str, u64>,
}

/// A name, chosen at random.
pub(crate) fn name(rng: &mut Rng) -> String {
    format!("n{}.example.org.", rng.u32(..NAMES))
}

/// All names.
pub(crate) fn names() -> impl Iterator<Item = String> {
    (0..NAMES).map(|number| format!("n{number}.example.org."))
}

/// What is true of a name: its address, or that it is not there.
pub(crate) fn truth(name: &str) -> Option<IpAddr> {
    let number = name
        .strip_prefix('n')?
        .split('.')
        .next()?
        .parse()
        .ok()
        .filter(|number: &u8| !number.is_multiple_of(5))?;
    Some(IpAddr::from([192, 0, 2, number]))
}

impl Outside {
    /// Upstreams that are well.
    pub(crate) fn new() -> Self {
        Self { moods: [Mood::Well; 2], under_way: BTreeMap::new(), sent: 0, met: BTreeMap::new() }
    }

    /// An upstream is in another mood.
    pub(crate) fn turn(&mut self, which: usize, mood: Mood) {
        self.moods[which] = mood;
    }

    /// A query came from a socket to an upstream.
    pub(crate) fn asked(&mut self, which: usize, socket: usize, query: &[u8], now: Duration, rng: &mut Rng) {
        let mood = self.moods[which];
        let word = match mood {
            Mood::Well => "well",
            Mood::Lossy => "lossy",
            Mood::Lying => "lying",
            Mood::Silent => "silent",
            Mood::Gone => "gone",
        };
        *self.met.entry(word).or_default() += 1;
        let good = answer(query);
        match mood {
            Mood::Well => self.send(now, rng.u64(1..8), socket, Ok(good)),
            Mood::Silent => {}
            Mood::Gone => self.send(now, 1, socket, Err(io::ErrorKind::ConnectionRefused.into())),
            Mood::Lossy => {
                for _ in 0..rng.u8(..3) {
                    self.send(now, rng.u64(1..900), socket, Ok(good.clone()));
                }
            }
            Mood::Lying => {
                for _ in 0..rng.u8(1..4) {
                    self.send(now, rng.u64(1..30), socket, Ok(lie(query, rng)));
                }
                if rng.bool() {
                    self.send(now, rng.u64(30..60), socket, Ok(good));
                }
            }
        }
    }

    /// Sends something.
    fn send(&mut self, now: Duration, millis: u64, socket: usize, what: io::Result<Vec<u8>>) {
        self.sent += 1;
        self.under_way.insert((now + Duration::from_millis(millis), self.sent), (socket, what));
    }

    /// We are others now: what is on its way comes to nobody.
    pub(crate) fn forget(&mut self) {
        self.under_way.clear();
    }

    /// What has come by now.
    pub(crate) fn arrived(&mut self, now: Duration) -> Vec<Arrival> {
        let later = self.under_way.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.under_way, later).into_values().collect()
    }
}

/// Where the question of a query ends.
fn end(query: &[u8]) -> usize {
    let mut at = 12;
    while query[at] != 0 {
        at += 1 + usize::from(query[at]);
    }
    at + 5
}

/// The name of a query in lower case, labels with dots.
fn asked_name(query: &[u8]) -> String {
    let mut name = String::new();
    let mut at = 12;
    while query[at] != 0 {
        let label = &query[at + 1..=at + usize::from(query[at])];
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
        name.push('.');
        at += 1 + usize::from(query[at]);
    }
    name
}

/// An answer to a query: head, question, one address or an SOA.
fn said(query: &[u8], address: Option<IpAddr>) -> Vec<u8> {
    let mut bytes = query[..end(query)].to_vec();
    bytes[2] = 0x81;
    bytes[3] = if address.is_some() { 0x80 } else { 0x83 };
    bytes[6..12].copy_from_slice(&if address.is_some() { [0, 1, 0, 0, 0, 0] } else { [0, 0, 0, 1, 0, 0] });
    match address {
        Some(IpAddr::V4(ip)) => {
            bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 20, 0, 4]);
            bytes.extend(ip.octets());
        }
        Some(IpAddr::V6(_)) => unreachable!("there are none"),
        None => {
            bytes.extend(b"\x07example\x03org\0\0\x06\0\x01\0\0\0\x14\0\x16\0\0");
            bytes.extend([0, 0, 0, 1, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0, 5]);
        }
    }
    bytes
}

/// The right answer.
fn answer(query: &[u8]) -> Vec<u8> {
    said(query, truth(&asked_name(query)))
}

/// An answer that must never be believed, or says that nothing can be said.
fn lie(query: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = said(query, Some(IpAddr::from([6, 6, 6, 6])));
    match rng.u8(..7) {
        0 => bytes[0] ^= 0x5a,
        1 => bytes[13] ^= 1,
        2 => bytes[2] &= 0x7f,
        // SERVFAIL, REFUSED.
        3 => {
            bytes.truncate(end(query));
            bytes[3] = 0x80 | rng.choice([2, 5]).unwrap_or(2);
            bytes[6..12].fill(0);
        }
        4 => bytes.truncate(rng.usize(..bytes.len())),
        // The right question, and an address of somebody else.
        5 => {
            let at = end(query);
            bytes.splice(at..at + 2, *b"\x06victim\x07example\0");
            bytes[3] = 0x80;
        }
        _ => {
            bytes.truncate(12);
            bytes.extend((0..rng.usize(1..60)).map(|_| rng.u8(..)));
        }
    }
    bytes
}
