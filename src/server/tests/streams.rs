//! Streams: order, deadlines, caps; time moves only where a test moves it.

use super::*;

/// Bounds that are met quickly.
fn small() -> StreamLimits {
    StreamLimits { connections: 4, per_client: 2, in_flight: 2, ..StreamLimits::default() }
}

#[test]
fn a_reply_overtakes_a_query_that_waits() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    // Both in one write (W59).
    let both = [framed(&query(1, "wait.")), framed(&query(2, "now."))].concat();
    rig.world.write(stream, &both);
    assert_eq!(rig.replies(stream), [2]);
    rig.ask(stream, 3, "now.");
    assert_eq!(rig.replies(stream), [3]);
    rig.signal.fire();
    assert_eq!(rig.replies(stream), [1]);
    assert!(!rig.world.closed(stream));
    rig.check_counters();
}

#[test]
fn a_peer_that_ends_after_its_query_gets_its_answer_and_then_the_end() {
    let mut rig = Rig::usual();
    let (quick, slow) = (rig.connect(peer(1, 1)), rig.connect(peer(1, 2)));
    for (stream, id, name) in [(quick, 1, "now."), (slow, 2, "wait.")] {
        rig.world.write(stream, &framed(&query(id, name)));
        rig.world.end(stream);
    }
    assert_eq!(rig.replies(quick), [1]);
    assert!(rig.world.closed(quick));
    assert!(!rig.world.closed(slow), "W62: the answer is owed");
    rig.pass(3_500);
    assert!(!rig.world.closed(slow));
    rig.signal.fire();
    assert_eq!(rig.replies(slow), [2]);
    assert!(rig.world.closed(slow));
    rig.check_counters();
}

#[test]
fn a_stream_may_come_in_any_pieces() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    let both = [framed(&query(1, "now.")), framed(&query(2, "now."))].concat();
    for byte in both {
        rig.world.write(stream, &[byte]);
        rig.settle();
    }
    assert_eq!(rig.replies(stream), [1, 2]);
    rig.check_counters();
}

#[test]
fn a_message_of_no_bytes_ends_the_stream_after_the_answers_before_it() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    rig.ask(stream, 1, "now.");
    rig.world.write(stream, &[0, 0]);
    assert_eq!(rig.replies(stream), [1]);
    assert!(rig.world.closed(stream));
}

#[test]
fn a_message_of_no_bytes_costs_no_answer_that_came_in_the_same_segment() {
    // Found by fuzzing (`tcp_frames`): the end came before the answers were written.
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    rig.world.write(stream, &[framed(&query(1, "now.")), framed(&query(2, "wait.")), vec![0, 0]].concat());
    assert_eq!(rig.replies(stream), [1]);
    assert!(!rig.world.closed(stream), "one answer is owed");
    rig.signal.fire();
    assert_eq!(rig.replies(stream), [2]);
    assert!(rig.world.closed(stream));
    rig.check_counters();
}

#[test]
fn a_stream_without_a_query_ends_when_its_idle_time_is_up() {
    let mut rig = Rig::usual();
    let (silent, talking) = (rig.connect(peer(1, 1)), rig.connect(peer(1, 2)));
    rig.pass(6_000);
    rig.ask(talking, 1, "now.");
    rig.pass(3_999);
    assert!(!rig.world.closed(silent));
    rig.pass(1);
    assert!(rig.world.closed(silent), "W63: 10 s");
    assert!(!rig.world.closed(talking));
    rig.pass(5_999);
    assert!(!rig.world.closed(talking));
    rig.pass(1);
    assert!(rig.world.closed(talking), "W64: 10 s after the last answer");
    assert_eq!(rig.counters.connections.read(), 2);
}

#[test]
fn idle_streams_end_sooner_when_more_than_half_of_the_places_are_taken() {
    let limits = StreamLimits { connections: 4, ..StreamLimits::default() };
    let mut rig = Rig::new(4, limits);
    let streams: Vec<StreamId> = (0..2).map(|port| rig.connect(peer(1, port))).collect();
    rig.pass(2_500);
    assert!(streams.iter().all(|&stream| !rig.world.closed(stream)), "half is not more than half");
    let third = rig.connect(peer(1, 3));
    rig.pass(2_000);
    assert!(streams.iter().all(|&stream| rig.world.closed(stream)), "RFC 7766 section 6.2.3");
    assert!(rig.world.closed(third), "a fifth of 10 s");
}

#[test]
fn a_message_has_so_long_from_its_first_byte_to_its_last_however_it_drips() {
    let mut rig = Rig::usual();
    let message = framed(&query(1, "now.a.long.enough.name.to.drip."));
    let (drip, length, body) = (rig.connect(peer(1, 1)), rig.connect(peer(1, 2)), rig.connect(peer(1, 3)));
    rig.world.write(length, &message[..1]);
    rig.world.write(body, &message[..9]);
    for (second, byte) in message.iter().enumerate().take(6) {
        rig.world.write(drip, &[*byte]);
        rig.settle();
        for stream in [drip, length, body] {
            assert!(!rig.world.closed(stream), "after {second} half seconds");
        }
        if second < 5 {
            rig.pass(500);
        }
    }
    rig.pass(499);
    assert!(!rig.world.closed(drip));
    rig.pass(1);
    for stream in [drip, length, body] {
        assert!(rig.world.closed(stream), "W63: 3 s, absolute");
    }
}

#[test]
fn a_second_message_has_its_own_time() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    let message = framed(&query(1, "now."));
    rig.world.write(stream, &message[..5]);
    rig.settle();
    rig.pass(2_500);
    // The rest of the first message and the beginning of the second.
    rig.world.write(stream, &[&message[5..], &message[..5]].concat());
    assert_eq!(rig.replies(stream), [1]);
    rig.pass(2_999);
    assert!(!rig.world.closed(stream));
    rig.pass(1);
    assert!(rig.world.closed(stream));
}

#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    let mut rig = Rig::usual();
    let stream = rig.world.connect(0, peer(1, 1), 10);
    rig.settle();
    rig.ask(stream, 1, "now.");
    rig.pass(4_999);
    assert!(!rig.world.closed(stream));
    rig.pass(1);
    assert!(rig.world.closed(stream), "W65: 5 s");
    rig.check_counters();
}

#[test]
fn a_peer_that_reads_a_byte_now_and_then_is_cut_off_too() {
    let mut rig = Rig::usual();
    let stream = rig.world.connect(0, peer(1, 1), 1);
    rig.settle();
    rig.ask(stream, 1, "big20.");
    for _ in 0..49 {
        assert!(rig.world.read(stream).len() <= 1);
        rig.pass(100);
    }
    assert!(!rig.world.closed(stream));
    let _ = rig.world.read(stream);
    rig.pass(100);
    assert!(rig.world.closed(stream), "a reply has 5 s as a whole");
}

#[test]
fn a_peer_that_reads_slowly_and_steadily_is_served() {
    let mut rig = Rig::usual();
    let stream = rig.world.connect(0, peer(1, 1), 4096);
    rig.settle();
    let mut got = Vec::new();
    for id in 0..40 {
        rig.ask(stream, id, "big250.");
        got.extend(rig.world.read(stream));
        rig.pass(400);
    }
    rig.settle();
    got.extend(rig.world.read(stream));
    assert!(!rig.world.closed(stream));
    let ids: Vec<u16> = messages(&got).iter().map(|reply| reply.metadata.id).collect();
    assert_eq!(ids, (0..40).collect::<Vec<u16>>());
}

#[test]
fn one_client_has_so_many_streams_and_others_have_theirs() {
    let mut rig = Rig::new(4, small());
    let (first, second) = (rig.connect(peer(1, 1)), rig.connect(peer(1, 2)));
    let third = rig.connect(peer(1, 3));
    assert!(rig.world.closed(third));
    assert_eq!((rig.counters.connections.read(), rig.counters.connections_refused.read()), (2, 1));
    let other = rig.connect(peer(2, 1));
    rig.ask(other, 1, "now.");
    assert_eq!(rig.replies(other), [1]);
    // A place that was given back is taken again.
    rig.world.end(first);
    rig.settle();
    assert!(rig.world.closed(first) && !rig.world.closed(second));
    let fourth = rig.connect(peer(1, 4));
    rig.ask(fourth, 2, "now.");
    assert_eq!(rig.replies(fourth), [2]);
}

#[test]
fn when_all_places_are_taken_the_one_that_is_idle_longest_makes_room() {
    let mut rig = Rig::new(8, StreamLimits { connections: 3, per_client: 9, ..StreamLimits::default() });
    let oldest = rig.connect(peer(1, 1));
    rig.pass(100);
    let busy = rig.connect(peer(1, 2));
    rig.ask(busy, 1, "wait.");
    rig.pass(100);
    let younger = rig.connect(peer(1, 3));
    rig.pass(100);
    rig.ask(oldest, 2, "now.");
    assert_eq!(rig.replies(oldest), [2]);
    rig.pass(100);
    // `busy` is owed an answer, `oldest` has just talked: `younger` is idle longest.
    let new = rig.connect(peer(2, 1));
    assert!(rig.world.closed(younger));
    assert!(!rig.world.closed(oldest) && !rig.world.closed(busy) && !rig.world.closed(new));
    rig.ask(new, 3, "now.");
    assert_eq!(rig.replies(new), [3]);
    // All are owed something: the next one is refused.
    rig.ask(new, 4, "wait.");
    rig.ask(oldest, 5, "wait.");
    let refused = rig.connect(peer(3, 1));
    assert!(rig.world.closed(refused));
    assert_eq!(rig.counters.connections_refused.read(), 1);
    rig.signal.fire();
    for (stream, id) in [(busy, 1), (new, 4), (oldest, 5)] {
        assert_eq!(rig.replies(stream), [id]);
    }
    rig.check_counters();
}

#[test]
fn one_stream_has_so_many_queries_that_wait_and_the_rest_in_turn() {
    let mut rig = Rig::new(8, small());
    let stream = rig.connect(peer(1, 1));
    let all: Vec<u8> = (1..=5).flat_map(|id| framed(&query(id, "wait."))).collect();
    rig.world.write(stream, &all);
    assert_eq!(rig.replies(stream), [0; 0]);
    assert_eq!(rig.worker.waiting(), 2);
    // UDP and other streams are not bothered.
    let other = rig.connect(peer(2, 1));
    rig.ask(other, 9, "now.");
    assert_eq!(rig.replies(other), [9]);
    rig.signal.fire();
    let mut got = rig.replies(stream);
    got.sort_unstable();
    assert_eq!(got, [1, 2, 3, 4, 5]);
    rig.check_counters();
}

#[test]
fn a_stream_that_is_gone_when_its_answer_comes_is_counted() {
    let mut rig = Rig::usual();
    let stream = rig.world.connect(0, peer(1, 1), 4);
    rig.settle();
    rig.ask(stream, 1, "wait.");
    // It does not read an answer and is cut off while another query waits.
    rig.pass(100);
    rig.world.write(stream, &[0, 0]);
    rig.settle();
    assert!(rig.world.closed(stream));
    rig.signal.fire();
    rig.settle();
    assert_eq!((rig.counters.orphaned.read(), rig.worker.waiting()), (1, 0));
    rig.check_counters();
}

#[test]
fn a_message_that_we_do_not_read_on_does_not_run_out_of_time() {
    // With as many queries waiting as a stream may have, its bytes stay unread: the time that passes then is ours.
    let mut rig = Rig::new(8, small());
    let stream = rig.connect(peer(1, 1));
    let third = framed(&query(3, "now."));
    let (head, tail) = third.split_at(7);
    let sent = [framed(&query(1, "wait.")), framed(&query(2, "wait.")), head.to_vec()].concat();
    rig.world.write(stream, &sent);
    rig.settle();
    rig.world.write(stream, tail);
    rig.pass(3_500);
    assert!(!rig.world.closed(stream), "the peer sent its third query whole and at once");
    rig.signal.fire();
    let mut got = rig.replies(stream);
    got.sort_unstable();
    assert_eq!(got, [1, 2, 3]);
    rig.check_counters();
}

#[test]
fn a_peer_that_ends_after_many_queries_gets_all_answers() {
    // W58, W62: more queries than may wait at once, then the end of the stream.
    let mut rig = Rig::new(8, small());
    let stream = rig.connect(peer(1, 1));
    let all: Vec<u8> = (1..=5).flat_map(|id| framed(&query(id, "wait."))).collect();
    rig.world.write(stream, &all);
    rig.world.end(stream);
    rig.settle();
    rig.signal.fire();
    let mut got = rig.replies(stream);
    got.sort_unstable();
    assert_eq!(got, [1, 2, 3, 4, 5]);
    assert!(rig.world.closed(stream));
    rig.check_counters();
}

#[test]
fn many_queries_in_one_write_are_all_answered_however_large_the_answers() {
    // W58: 300 queries, 1.2 MB of answers, a peer that reads at once.
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    let all: Vec<u8> = (0..300).flat_map(|id| framed(&query(id, "big250."))).collect();
    rig.world.write(stream, &all);
    for _ in 0..50 {
        rig.settle();
    }
    let got = rig.replies(stream);
    assert_eq!(got.len(), 300);
    rig.check_counters();
}

#[test]
fn many_queries_and_then_the_end_are_all_answered_however_large_the_answers() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    let all: Vec<u8> = (0..300).flat_map(|id| framed(&query(id, "big250."))).collect();
    rig.world.write(stream, &all);
    rig.world.end(stream);
    for _ in 0..50 {
        rig.settle();
    }
    let got = rig.replies(stream);
    assert_eq!(got.len(), 300);
    assert!(rig.world.closed(stream));
    rig.check_counters();
}

#[test]
fn a_query_of_the_largest_size_is_answered() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    let mut message = query(1, "now.");
    message[11] = 1;
    let padding = u16::try_from(65_535 - message.len() - 11 - 4).unwrap();
    message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0]);
    message.extend_from_slice(&(padding + 4).to_be_bytes());
    message.extend_from_slice(&12_u16.to_be_bytes());
    message.extend_from_slice(&padding.to_be_bytes());
    message.resize(65_535, 0);
    rig.world.write(stream, &[framed(&message), framed(&query(2, "now."))].concat());
    for _ in 0..4 {
        rig.settle();
    }
    assert_eq!(rig.replies(stream), [1, 2], "W33");
    rig.check_counters();
}

#[test]
fn a_dropped_query_of_a_stream_is_silence_and_the_stream_goes_on() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    for (id, name) in [(1, "drop."), (2, "late."), (3, "panic."), (4, "now.")] {
        rig.ask(stream, id, name);
    }
    assert_eq!(rig.replies(stream), [3, 4]);
    rig.signal.fire();
    assert_eq!(rig.replies(stream), [0; 0]);
    rig.pass(9_999);
    assert!(!rig.world.closed(stream), "nothing is owed, and the idle time is not up");
    rig.pass(1);
    assert!(rig.world.closed(stream));
    rig.check_counters();
}

#[test]
fn a_stream_whose_query_waited_still_has_an_idle_time() {
    let mut rig = Rig::usual();
    let stream = rig.connect(peer(1, 1));
    rig.pass(9_000);
    rig.ask(stream, 1, "wait.");
    // The deadlines of streams are looked at now, and none stands while an answer is owed.
    rig.pass(1_000);
    assert!(!rig.world.closed(stream));
    rig.signal.fire();
    assert_eq!(rig.replies(stream), [1]);
    rig.pass(10_000);
    assert!(rig.world.closed(stream), "idle for 10 s since the answer");
}

/// A worker whose first group has these times.
fn with_timeouts(timeouts: crate::chain::Timeouts) -> Rig {
    let mut rig = Rig::usual();
    let mut plan = plan(&[0, 1], &rig.signal);
    Arc::get_mut(&mut plan).unwrap().listeners[0].timeouts = timeouts;
    rig.active.swap(plan);
    rig.settle();
    rig
}

#[test]
fn the_times_of_an_address_are_those_that_its_blocks_say() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let timeouts =
        crate::chain::Timeouts { read: seconds(7), write: seconds(2), idle: seconds(20), queries: None };
    let mut rig = with_timeouts(timeouts);
    let (idle, slow) = (rig.connect(peer(1, 1)), rig.connect(peer(1, 2)));
    let other = rig.world.connect(1, peer(1, 3), WIDE);
    rig.world.write(slow, &[0]);
    rig.settle();
    rig.pass(6_999);
    assert!(!rig.world.closed(slow));
    rig.pass(1);
    assert!(rig.world.closed(slow), "a message may take 7 s here");
    rig.pass(3_000);
    assert!(rig.world.closed(other), "another address keeps its 10 s");
    rig.pass(9_999);
    assert!(!rig.world.closed(idle));
    rig.pass(1);
    assert!(rig.world.closed(idle), "20 s");
}

#[test]
fn a_stream_that_asked_as_often_as_it_may_gets_its_answers_and_the_end() {
    let queries = Some(Some(2));
    let mut rig = with_timeouts(crate::chain::Timeouts { queries, ..Default::default() });
    let stream = rig.connect(peer(1, 1));
    let all = [framed(&query(1, "wait.")), framed(&query(2, "now.")), framed(&query(3, "now."))].concat();
    rig.world.write(stream, &all);
    assert_eq!(rig.replies(stream), [2]);
    assert!(!rig.world.closed(stream), "an answer is owed");
    rig.signal.fire();
    assert_eq!(rig.replies(stream), [1]);
    assert!(rig.world.closed(stream), "the third query is not read");
    let stream = rig.connect(peer(1, 2));
    rig.ask(stream, 4, "now.");
    assert!(!rig.world.closed(stream));
    rig.ask(stream, 5, "now.");
    assert_eq!(rig.replies(stream), [4, 5]);
    assert!(rig.world.closed(stream));
    rig.check_counters();
}
