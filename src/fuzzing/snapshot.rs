//! Snapshots: bytes behind a seal that fits, as a disk may give them back.

use super::cost::{Bound, bounded};
use super::desk::store;
use super::target::Seed;
use crate::store::snapshot::{About, decode, decode_unsealed, write};
use crate::store::{Store, Wanted};
use crate::time::{Clock, Wall};

/// Bytes of the seal.
const SEAL: usize = 32;

/// What reading one may cost: its texts.
const READING: Bound = Bound { each: 8, beside: 4096 };

/// What taking one in may cost: a record of some bytes is a Service, with its places in tables.
const TAKING_IN: Bound = Bound { each: 512, beside: 1 << 20 };

/// Reads bytes as a snapshot, with and without a seal, takes in what can be read, and writes it again.
pub(super) fn run(bytes: &[u8]) {
    // What ends within mark and version would have a part of the seal for its version.
    if bytes.len() < 18 {
        assert!(decode_unsealed(bytes).is_err() && decode(bytes).is_err());
        return;
    }
    let unsealed = bounded(READING, bytes, || decode_unsealed(bytes));
    let sealed = [bytes, ring::digest::digest(&ring::digest::SHA256, bytes).as_ref()].concat();
    match (&unsealed, decode(&sealed)) {
        (Ok(one), Ok(other)) => assert_eq!(one.about, other.about),
        (Err(one), Err(other)) => assert_eq!(*one, other),
        (one, other) => panic!("{:?} without a seal, {:?} with one", one.as_ref().err(), other.err()),
    }
    assert!(decode(bytes).is_err(), "no seal is found by chance");
    let Ok(decoded) = unsealed else { return };
    let (kept, mut writer) = Store::new(decoded.about.wanted, Clock::manual(Wall(1_700_000_000)));
    bounded(TAKING_IN, bytes, || writer.restore(&decoded, "fuzzed"))
        .expect("what was decoded can be taken in");
    let again = written(&kept);
    let read = decode(&again).unwrap_or_else(|fault| panic!("what was written can't be read: {fault}"));
    let (copy, mut writer) = Store::new(read.about.wanted, Clock::manual(Wall(1_700_000_000)));
    writer.restore(&read, "fuzzed").expect("what was written can be taken in");
    let (one, other) = (kept.counts(), copy.counts());
    assert_eq!(
        (one.services, one.endpoints, one.namespaces),
        (other.services, other.endpoints, other.namespaces)
    );
    kept.each_service(|service| {
        let copied = copy.service(service.key()).map(|copied| copied.spec().clone());
        assert_eq!(copied.as_ref(), Some(service.spec()));
    });
}

/// A store as a snapshot.
fn written(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    let about = About::new("fuzzed".to_owned(), "a=b".to_owned(), 1_700_000_000);
    write(store, about, &mut bytes).expect("a vector takes all");
    bytes
}

/// Snapshots without their seals; the key of hashes is of no use to anybody and made the same in all.
pub(super) fn seeds() -> Vec<Seed> {
    let of = |wanted: Wanted| {
        let mut bytes = written(&store(wanted));
        bytes.truncate(bytes.len() - SEAL);
        bytes
    };
    let usual = of(Wanted { endpoints: true, ..Wanted::default() });
    vec![
        ("usual", usual.clone()),
        ("all", of(Wanted::EVERYTHING)),
        ("services_only", of(Wanted::default())),
        ("half", usual[..usual.len() / 2].to_vec()),
        ("other_version", [&usual[..17], &[9], &usual[18..]].concat()),
        ("mark", usual[..16].to_vec()),
        ("more_behind", [usual, vec![0; 8]].concat()),
    ]
}
