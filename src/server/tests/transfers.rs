//! Whole zones on streams: made as the peer reads them, bounded, and nobody else waits.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::chain::{Grant, Policy, Records, To, Whole};
use crate::wire::{Sections, rtype};

/// A step whose zone has so many records.
struct Giving {
    /// How many records.
    records: usize,
    /// How many were made.
    made: Arc<AtomicUsize>,
    /// Who may have it.
    policy: Policy,
}

/// The records of a zone.
struct Row {
    /// How many are left.
    left: usize,
    /// How many were made.
    made: Arc<AtomicUsize>,
}

impl Records for Row {
    fn fill(&mut self, draft: &mut Sections, room: usize) -> bool {
        for _ in 0..(room / 32).min(self.left) {
            draft.push_address(Section::Answer, Owner::Question, 30, &[10, 0, 0, 1]);
            self.left -= 1;
            self.made.fetch_add(1, Ordering::Relaxed);
        }
        self.left > 0
    }
}

impl Step for Giving {
    fn word(&self) -> &'static str {
        "giving"
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        match asked.question.qtype {
            rtype::AXFR => Flow::Transfer,
            _ => Flow::Reply(Reply::code(Rcode::NOERROR)),
        }
    }

    fn whole(&self, _: &crate::wire::Question, _: Option<u32>) -> Whole {
        Whole::Records(Box::new(Row { left: self.records, made: self.made.clone() }))
    }

    fn transfers(&self) -> Option<&Policy> {
        Some(&self.policy)
    }
}

/// A rig whose zone has so many records, and how many of them were made.
fn rig(records: usize) -> (Rig, Arc<AtomicUsize>) {
    let rig = Rig::usual();
    let root = Zone::parse(".").unwrap();
    let made: Arc<AtomicUsize> = Arc::default();
    let grant = Grant { zones: vec![root.clone()], to: vec![To::Anybody], source: None };
    let giving = Giving { records, made: made.clone(), policy: Policy { grants: vec![grant] } };
    let mut plan = Plan::default();
    plan.chains.push(Chain::new(vec![Box::new(giving)], vec![root.clone()], Vec::new(), false));
    let zones = vec![Served { zone: root, chain: 0, tallies: None }];
    plan.listeners.push(Listener {
        addr: group(0),
        label: String::new(),
        zones,
        dropped: None,
        timeouts: crate::chain::Timeouts::default(),
        shed: None,
    });
    rig.active.swap(Arc::new(plan));
    (rig, made)
}

/// A question for a whole zone, framed.
fn axfr(id: u16) -> Vec<u8> {
    let mut message = query(id, "zone.");
    let end = message.len();
    message[end - 4..end - 2].copy_from_slice(&rtype::AXFR.to_be_bytes());
    framed(&message)
}

#[test]
fn a_peer_that_does_not_read_gets_no_more_made_and_is_closed_while_others_are_served() {
    let (mut rig, made) = rig(1_000_000);
    let slow = rig.world.connect(0, peer(1, 1), 4096);
    rig.world.write(slow, &axfr(1));
    rig.settle();
    let first = made.load(Ordering::Relaxed);
    assert!(first <= 1024, "{first} records, a message holds 512");
    let other = rig.connect(peer(1, 2));
    for id in 0..20 {
        rig.ask(other, id, "other.");
        assert_eq!(rig.replies(other), [id]);
    }
    assert_eq!(made.load(Ordering::Relaxed), first);
    rig.pass(4_999);
    assert!(!rig.world.closed(slow));
    rig.pass(1);
    assert!(rig.world.closed(slow), "W65: 5 s");
    assert!(!rig.world.closed(other));
}

#[test]
fn a_peer_that_reads_gets_all_of_it_and_then_what_it_asked_behind() {
    let (mut rig, made) = rig(10_000);
    let stream = rig.connect(peer(1, 1));
    rig.world.write(stream, &[axfr(7), framed(&query(8, "other.")), axfr(9)].concat());
    rig.world.end(stream);
    let mut ids = Vec::new();
    while !rig.world.closed(stream) {
        ids.extend(rig.replies(stream));
    }
    ids.extend(rig.replies(stream));
    let (whole, rest): (Vec<u16>, Vec<u16>) = ids.iter().partition(|id| **id == 7);
    assert_eq!(made.load(Ordering::Relaxed), 20_000);
    assert_eq!(whole.len(), 20, "512 records a message");
    assert_eq!(rest[0], 8);
    assert_eq!(rest[1..], [9; 20]);
    assert!(ids[..20].iter().all(|id| *id == 7), "in order");
}

#[test]
fn others_have_their_turn_between_the_messages_of_a_large_zone() {
    let (mut rig, made) = rig(1_000_000);
    let (large, other) = (rig.connect(peer(1, 1)), rig.connect(peer(1, 2)));
    rig.world.write(large, &axfr(1));
    rig.world.write(other, &framed(&query(2, "other.")));
    rig.worker.turn();
    assert!(made.load(Ordering::Relaxed) <= 6 * 512, "{}", made.load(Ordering::Relaxed));
    rig.worker.turn();
    assert!(!rig.world.closed(other));
    assert_eq!(rig.replies(other), [2]);
}
