//! What streams hold together is bounded, and who holds most loses first (S-53).

use super::*;

/// A worker whose streams hold at most so many bytes.
fn holding(held: usize) -> Rig {
    Rig::new(64, StreamLimits { held, ..StreamLimits::default() })
}

/// How many of these streams are open.
fn open(rig: &Rig, streams: &[StreamId]) -> usize {
    streams.iter().filter(|stream| !rig.world.closed(**stream)).count()
}

/// So many queries for answers of 4 KB each, as one write.
fn burst(count: u16) -> Vec<u8> {
    (0..count).flat_map(|id| framed(&query(id, "big250."))).collect()
}

#[test]
fn s53_replies_that_nobody_reads_are_bounded_over_all_streams() {
    const HELD: usize = 600 * 1024;
    let mut rig = holding(HELD);
    // Somebody else asks slowly: the first bytes now, the rest after the storm.
    let modest = rig.connect(peer(2, 1));
    let slow = framed(&query(7, "now."));
    rig.world.write(modest, &slow[..5]);
    rig.settle();
    // Each is at its own bound of 128 KiB once it was read from.
    let greedy: Vec<StreamId> = (0..40)
        .map(|port| {
            let stream = rig.world.connect(0, peer(1, port), 10);
            rig.world.write(stream, &burst(40));
            rig.settle();
            stream
        })
        .collect();
    let left = open(&rig, &greedy);
    assert!(left > 0 && left * 128 * 1024 <= HELD, "{left} are left");
    assert_eq!(usize::try_from(rig.counters.connections_cut.read()).unwrap(), 40 - left);
    rig.world.write(modest, &slow[5..]);
    assert_eq!(rig.replies(modest), [7]);
    // And over the datagram socket nobody notices.
    rig.send(0, peer(3, 1), 9, "now.");
    assert_eq!(rig.datagrams().len(), 1);
    rig.check_counters();
}

#[test]
fn s53_queries_that_never_end_are_bounded_over_all_streams() {
    const HELD: usize = 300 * 1024;
    let mut rig = holding(HELD);
    let mut begun = 65_535_u16.to_be_bytes().to_vec();
    begun.resize(60_000, 0);
    let modest = rig.connect(peer(100, 1));
    rig.world.write(modest, &begun[..100]);
    rig.settle();
    let greedy: Vec<StreamId> = (0..20)
        .map(|host| {
            let stream = rig.connect(peer(host, 1));
            rig.world.write(stream, &begun);
            rig.settle();
            stream
        })
        .collect();
    let left = open(&rig, &greedy);
    assert!(left > 0 && left * begun.len() <= HELD, "{left} are left");
    assert_eq!(usize::try_from(rig.counters.connections_cut.read()).unwrap(), 20 - left);
    assert!(!rig.world.closed(modest), "who holds little is not asked to go");
}

#[test]
fn s53_the_client_that_holds_most_pays_and_not_the_largest_stream() {
    let mut rig = holding(400 * 1024);
    let begun = |length: usize| {
        let mut bytes = 65_535_u16.to_be_bytes().to_vec();
        bytes.resize(length, 0);
        bytes
    };
    let honest = rig.connect(peer(2, 1));
    rig.world.write(honest, &begun(60_000));
    rig.settle();
    let many: Vec<StreamId> = (0..12)
        .map(|port| {
            let stream = rig.connect(peer(1, port));
            rig.world.write(stream, &begun(40_000));
            rig.settle();
            stream
        })
        .collect();
    assert!(!rig.world.closed(honest));
    assert!(open(&rig, &many) < many.len());
    assert!(rig.counters.connections_cut.read() > 0);
}

#[test]
fn s53_what_was_read_is_given_back_and_idle_streams_hold_next_to_nothing() {
    let mut rig = holding(256 * 1024);
    let streams: Vec<StreamId> = (0..100)
        .map(|host| {
            let stream = rig.connect(peer(host, 1));
            rig.world.write(stream, &burst(20));
            // It reads as it is written to.
            assert_eq!(rig.replies(stream).len(), 20);
            stream
        })
        .collect();
    assert_eq!(rig.counters.connections_cut.read(), 0, "80 KB each, one after the other");
    assert_eq!(open(&rig, &streams), streams.len());
    for (id, stream) in (0..).zip(&streams) {
        rig.ask(*stream, id, "now.");
        assert_eq!(rig.replies(*stream), [id]);
    }
    rig.check_counters();
}

#[test]
fn s53_replies_that_had_to_wait_are_counted_when_they_come() {
    const HELD: usize = 2048;
    let mut rig = holding(HELD);
    let streams: Vec<StreamId> = (0..50)
        .map(|host| {
            let stream = rig.world.connect(0, peer(host, 1), 10);
            rig.world.write(stream, &framed(&query(1, "wait.")));
            rig.settle();
            stream
        })
        .collect();
    assert_eq!(rig.counters.connections_cut.read(), 0, "a query that waits holds some 24 bytes");
    rig.signal.fire();
    rig.settle();
    let left = open(&rig, &streams);
    assert!(left > 0 && left * 40 <= HELD, "{left} are left");
    assert_eq!(usize::try_from(rig.counters.connections_cut.read()).unwrap(), 50 - left);
    rig.check_counters();
}
