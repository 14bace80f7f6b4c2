//! Datagrams: replies find their way, also those of queries that waited.

use super::*;

#[test]
fn replies_of_queries_that_waited_go_to_the_right_peers_from_the_right_sockets() {
    let mut rig = Rig::usual();
    let asked: Vec<(usize, SocketAddr, u16)> = (0..20_u16)
        .map(|number| (usize::from(number % 2), peer(u8::try_from(number).unwrap(), 4000 + number), number))
        .collect();
    for &(socket, from, id) in &asked {
        rig.send(socket, from, id, "wait.");
    }
    rig.send(1, SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 9], 4444)), 99, "wait.");
    assert_eq!(rig.datagrams(), []);
    assert_eq!(rig.worker.waiting(), 21);
    rig.check_counters();
    // Somebody who needs no wait is answered at once.
    rig.send(0, peer(200, 5000), 500, "now.");
    assert_eq!(rig.datagrams(), [(0, peer(200, 5000), 500, 0)]);
    rig.signal.fire();
    let mut got = rig.datagrams();
    got.sort_by_key(|reply| reply.2);
    let mut want: Vec<_> = asked.iter().map(|&(socket, from, id)| (socket, from, id, 0)).collect();
    want.push((1, SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 9], 4444)), 99, 0));
    assert_eq!(got, want);
    rig.check_counters();
}

#[test]
fn more_replies_than_one_batch_holds_are_all_sent() {
    let mut rig = Rig::new(300, StreamLimits::default());
    for id in 0..300 {
        rig.send(usize::from(id % 3 == 0), peer(1, 2000 + id), id, "wait.");
    }
    assert_eq!(rig.datagrams(), []);
    assert_eq!(rig.worker.waiting(), 300);
    rig.signal.fire();
    let mut got = rig.datagrams();
    got.sort_by_key(|reply| reply.2);
    let want: Vec<_> = (0..300).map(|id| (usize::from(id % 3 == 0), peer(1, 2000 + id), id, 0)).collect();
    assert_eq!(got, want);
    rig.check_counters();
}

#[test]
fn answers_carry_the_data_of_the_socket_that_was_asked() {
    let mut rig = Rig::usual();
    rig.send(0, peer(1, 1), 1, "now.");
    rig.send(1, peer(1, 1), 2, "now.");
    rig.settle();
    let last: Vec<u8> =
        rig.world.received().iter().filter_map(|(_, _, bytes)| bytes.last().copied()).collect();
    assert_eq!(last, [0, 1]);
}

#[test]
fn time_ends_a_wait_at_the_steps_bound_and_at_the_budget() {
    let mut rig = Rig::usual();
    rig.send(0, peer(1, 1), 1, "short.");
    rig.send(0, peer(1, 2), 2, "wait.");
    assert_eq!(rig.datagrams(), []);
    rig.pass(999);
    assert_eq!(rig.datagrams(), []);
    rig.pass(1);
    assert_eq!(rig.datagrams(), [(0, peer(1, 1), 1, 2)]);
    rig.pass(2_999);
    assert_eq!(rig.datagrams(), []);
    rig.pass(1);
    assert_eq!(rig.datagrams(), [(0, peer(1, 2), 2, 2)]);
    rig.check_counters();
}

#[test]
fn a_full_table_of_waiting_queries_is_servfail_for_the_next() {
    let mut rig = Rig::new(2, StreamLimits::default());
    for id in 1..=3 {
        rig.send(0, peer(1, 1), id, "wait.");
    }
    assert_eq!(rig.datagrams(), [(0, peer(1, 1), 3, 2)]);
    assert_eq!(rig.counters.table_full.read(), 1);
    rig.signal.fire();
    assert_eq!(rig.datagrams().len(), 2);
    rig.check_counters();
}

#[test]
fn a_panic_a_drop_and_a_query_that_never_gets_a_reply_leave_their_neighbours_alone() {
    let mut rig = Rig::usual();
    let names = ["now.", "panic.", "drop.", "now.", "late.", "nobody.", "now."];
    for (id, name) in (1..).zip(names) {
        rig.send(0, peer(1, 1), id, name);
    }
    let got: Vec<(u16, u16)> = rig.datagrams().into_iter().map(|(_, _, id, rcode)| (id, rcode)).collect();
    assert_eq!(got, [(1, 0), (2, 2), (4, 0), (6, 2), (7, 0)]);
    rig.signal.fire();
    assert_eq!(rig.datagrams(), [], "dropped after the wait");
    assert_eq!((rig.counters.panics.read(), rig.counters.dropped.read()), (1, 2));
    rig.check_counters();
}

#[test]
fn nobody_is_answered_at_port_0() {
    let mut rig = Rig::usual();
    rig.send(0, peer(1, 0), 1, "now.");
    rig.send(0, peer(1, 1), 2, "now.");
    assert_eq!(rig.datagrams(), [(0, peer(1, 1), 2, 0)], "W56");
    rig.check_counters();
}

#[test]
fn a_swapped_plan_serves_the_same_sockets_and_waiting_queries_end_on_the_old_one() {
    let mut rig = Rig::usual();
    rig.send(1, peer(1, 1), 1, "wait.");
    rig.settle();
    // In the new plan the groups stand in another order, and one of them is gone.
    rig.active.swap(plan(&[7, 1], &Arc::default()));
    rig.send(1, peer(1, 2), 2, "now.");
    rig.send(0, peer(1, 3), 3, "now.");
    rig.send(1, peer(1, 4), 4, "wait.");
    rig.settle();
    let replies: Vec<(SocketAddr, Message)> = rig
        .world
        .received()
        .into_iter()
        .map(|(_, peer, bytes)| (peer, Message::from_vec(&bytes).unwrap()))
        .collect();
    let codes: Vec<(SocketAddr, u16, usize)> = replies
        .iter()
        .map(|(peer, reply)| (*peer, u16::from(reply.metadata.response_code), reply.answers.len()))
        .collect();
    assert!(codes.contains(&(peer(1, 2), 0, 1)), "{codes:?}");
    assert!(codes.contains(&(peer(1, 3), 5, 0)), "a group that the plan does not name refuses: {codes:?}");
    assert_eq!(codes.len(), 2);
    rig.signal.fire();
    assert_eq!(rig.datagrams(), [(1, peer(1, 1), 1, 0)], "the new plan waits for another signal");
    assert_eq!(rig.worker.waiting(), 1);
    rig.check_counters();
}

#[test]
fn draining_answers_what_is_in_the_sockets_and_what_waits() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 9));
    rig.ask(stream, 10, "wait.");
    rig.send(0, peer(1, 1), 1, "wait.");
    rig.settle();
    for id in 2..200 {
        rig.send(0, peer(1, id), id, "now.");
    }
    let late = rig.world.connect(0, peer(1, 10), WIDE);
    rig.world.write(late, &framed(&query(11, "now.")));
    rig.phase.drain();
    rig.signal.fire();
    rig.worker.run();
    let mut got: Vec<u16> = rig.world.received().iter().map(|(_, peer, _)| peer.port()).collect();
    got.sort_unstable();
    assert_eq!(got, (1..200).collect::<Vec<u16>>(), "P3: nothing that was sent in time is lost");
    for (stream, id) in [(stream, 10), (late, 11)] {
        assert_eq!(messages(&rig.world.read(stream))[0].metadata.id, id);
        assert!(rig.world.closed(stream));
    }
    rig.check_counters();
}

#[test]
fn draining_answers_what_was_sent_on_streams_that_were_idle() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    // The query is in the socket, the worker has not looked at it yet.
    rig.world.write(stream, &framed(&query(7, "now.")));
    rig.phase.drain();
    rig.worker.run();
    let got: Vec<u16> = messages(&rig.world.read(stream)).iter().map(|reply| reply.metadata.id).collect();
    assert_eq!(got, [7], "P3: it was sent while we were still there");
    assert!(rig.world.closed(stream));
}
