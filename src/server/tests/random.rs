//! Random traffic: whatever comes, every query has exactly one end, and nobody gets the reply of another.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// A query as a datagram: socket, host, port, name.
    Datagram(usize, u8, u16, &'static str),
    /// Bytes that may be anything, as a datagram.
    Junk(Vec<u8>),
    /// A query with a byte changed, as a datagram.
    Bent(&'static str, usize, u8),
    /// A stream is opened: host, window.
    Connect(u8, usize),
    /// A query on a stream.
    Ask(usize, &'static str),
    /// Part of a query on a stream.
    Part(usize, usize),
    /// A peer ends its stream.
    End(usize),
    /// A peer reads what there is.
    Read(usize),
    /// What queries wait for happens, and a new plan waits for something new.
    Fire,
    /// Time passes.
    Pass(u64),
    /// The worker goes round.
    Turn,
}

/// One of the names of `Scripted`.
fn name() -> impl Strategy<Value = &'static str> {
    select(&["now.", "big3.", "big200.", "wait.", "short.", "drop.", "late.", "panic.", "nobody."][..])
}

/// Something that happens.
fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..3_usize, 1..4_u8, 0..50_u16, name())
            .prop_map(|(socket, host, port, name)| Event::Datagram(socket, host, port, name)),
        2 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Event::Junk),
        2 => (name(), 0..40_usize, any::<u8>()).prop_map(|(name, at, byte)| Event::Bent(name, at, byte)),
        2 => (1..4_u8, select(&[1, 100, WIDE][..])).prop_map(|(host, window)| Event::Connect(host, window)),
        6 => (any::<usize>(), name()).prop_map(|(stream, name)| Event::Ask(stream, name)),
        1 => (any::<usize>(), 0..20_usize).prop_map(|(stream, length)| Event::Part(stream, length)),
        1 => any::<usize>().prop_map(Event::End),
        2 => any::<usize>().prop_map(Event::Read),
        1 => Just(Event::Fire),
        2 => select(&[1, 500, 1_000, 3_000, 10_000][..]).prop_map(Event::Pass),
        6 => Just(Event::Turn),
    ]
}

/// Keeps panics that are part of the script out of the output.
fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"scripted") {
                others(info);
            }
        }));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_query_ends_once_and_its_reply_goes_to_who_asked(
        events in prop::collection::vec(event(), 1..120),
        waiting in 0..6_usize,
    ) {
        quiet();
        let limits = StreamLimits { connections: 4, per_client: 3, in_flight: 2, ..StreamLimits::default() };
        let mut rig = Rig::new(waiting, limits);
        let mut streams: Vec<StreamId> = Vec::new();
        let mut id = 0_u16;
        // Whose query has which id; bytes that were bent may have any.
        let mut asked: Vec<(u16, SocketAddr, usize)> = Vec::new();
        for event in events {
            id += 1;
            let pick = |index: usize| streams.get(index % streams.len().max(1)).copied();
            match event {
                Event::Datagram(socket, host, port, name) => {
                    // The third socket does not belong to the plan's groups.
                    let socket = socket.min(1);
                    rig.send(socket, peer(host, port), id, name);
                    asked.push((id, peer(host, port), socket));
                }
                Event::Junk(bytes) => rig.world.send(0, peer(200, 9), &bytes),
                Event::Bent(name, at, byte) => {
                    let mut bytes = query(id, name);
                    if let Some(place) = bytes.get_mut(at) {
                        *place = byte;
                    }
                    rig.world.send(1, peer(200, 9), &bytes);
                }
                Event::Connect(host, window) => streams.push(rig.world.connect(0, peer(host, id), window)),
                Event::Ask(stream, name) => {
                    if let Some(stream) = pick(stream) {
                        rig.world.write(stream, &framed(&query(id, name)));
                    }
                }
                Event::Part(stream, length) => {
                    if let Some(stream) = pick(stream) {
                        let message = framed(&query(id, "now."));
                        rig.world.write(stream, &message[..length.min(message.len())]);
                    }
                }
                Event::End(stream) => {
                    if let Some(stream) = pick(stream) {
                        rig.world.end(stream);
                    }
                }
                Event::Read(stream) => {
                    if let Some(stream) = pick(stream) {
                        let _ = rig.world.read(stream);
                    }
                }
                Event::Fire => {
                    let next = Arc::new(Signal::default());
                    std::mem::replace(&mut rig.signal, next).fire();
                    rig.active.swap(plan(&[0, 1], &rig.signal));
                }
                Event::Pass(millis) => rig.clock.advance(Duration::from_millis(millis)),
                Event::Turn => rig.worker.turn(),
            }
            rig.check_counters();
            // Those who have to leave for others keep their places until they are told so.
            prop_assert!(rig.worker.waiting() <= waiting + rig.worker.beyond());
        }
        // Everything that waits runs out of time, and streams run out of theirs.
        for _ in 0..8 {
            rig.pass(5_000);
        }
        rig.check_counters();
        prop_assert_eq!(rig.worker.waiting(), 0);
        for &stream in &streams {
            prop_assert!(rig.world.closed(stream), "an idle stream stays open");
        }
        for (socket, to, bytes) in rig.world.received() {
            let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            if to != peer(200, 9) {
                let place = asked.iter().position(|query| *query == (word(0), to, socket));
                prop_assert!(place.is_some(), "nobody asked {} from {} on {}", word(0), to, socket);
                asked.swap_remove(place.unwrap());
            }
        }
        // Without an answer are only those that were dropped, and those from port 0.
        let unanswered = asked.iter().filter(|(_, from, _)| from.port() != 0).count();
        prop_assert!(u64::try_from(unanswered).unwrap() <= rig.counters.dropped.read());
    }
}
