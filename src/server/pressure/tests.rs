//! Verdicts under pressure, by clocks of the test; and what a real socket makes of them.

use std::net::{TcpListener, UdpSocket};

use super::super::bind::Sockets;
use super::super::kernel_link::{KernelLink, wake_handle};
use super::super::link::Link as _;
use super::*;
use crate::time::Wall;

/// A client by number.
fn client(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 4711))
}

/// A moment so many milliseconds after the start.
fn at(millis: u64) -> Tick {
    Tick(millis * 1_000_000)
}

/// The wall clock at that moment.
fn wall(now: Tick) -> Duration {
    Duration::from_secs(1_000_000) + Duration::from_nanos(now.0)
}

/// A gauge of a socket that has not been empty for the time that pressure takes to begin; the moment at which it does.
fn pressed() -> (Gauge, Tick) {
    let mut gauge = Gauge { offset: Some(wall(at(0))), ..Gauge::default() };
    assert!(gauge.looks());
    assert_eq!(gauge.judge(Some(wall(at(0))), wall(at(0)), 10, at(0)), Verdict::Answer);
    assert_eq!(gauge.ends, None, "one full batch is no pressure");
    let now = at(20);
    gauge.judge(Some(wall(now)), wall(now), 10, now);
    assert_eq!(gauge.ends, Some(now.plus(WINDOW)));
    (gauge, now)
}

/// A socket that is nearly full is under pressure at once.
#[test]
fn a_socket_that_is_nearly_full_is_under_pressure_at_once_and_between_the_marks_nothing_changes() {
    let mut gauge = Gauge { offset: Some(wall(at(0))), ..Gauge::default() };
    gauge.judge(None, wall(at(0)), FULL, at(0));
    assert_eq!(gauge.ends, None);
    gauge.judge(None, wall(at(0)), FULL + 1, at(0));
    assert_eq!(gauge.ends, Some(at(50)));
    let mut now = at(0);
    // Emptied in between, but nearly full as well: what came in the meantime was dropped, whoever sent it.
    window(&mut gauge, &mut now, 1000, true);
    assert_eq!(gauge.sifted.len(), 1);
    let before = gauge.level;
    for (fill, change) in [(FULL, 0), (ROOMY, 0), (ROOMY - 1, 1), (FULL + 1, -1)] {
        let level = gauge.level;
        gauge.fill = fill;
        window(&mut gauge, &mut now, 700, true);
        assert_eq!(gauge.level.cmp(&level), change.cmp(&0), "{fill}");
    }
    assert!(before > 0);
}

/// One window in which `flood` queries of client 1 came, and three of each of clients 2 to 5; whether the socket was empty.
fn window(gauge: &mut Gauge, now: &mut Tick, flood: u32, empty: bool) {
    for _ in 0..flood {
        gauge.count(client(1));
    }
    for number in [2, 3, 4, 5].repeat(3) {
        gauge.count(client(number));
    }
    if empty {
        gauge.emptied();
    }
    *now = now.plus(WINDOW);
    gauge.turn(*now);
}

#[test]
fn batches_that_are_not_full_cost_nothing_and_full_ones_a_look_now_and_then() {
    let mut gauge = Gauge::default();
    gauge.emptied();
    assert_eq!((gauge.ends, gauge.since), (None, None));
    let looks = (0..64).filter(|_| gauge.looks()).count();
    assert_eq!(looks, 4, "one in sixteen");
    gauge.emptied();
    assert!(gauge.looks(), "the first full batch after a rest may be what came during a stop");
}

#[test]
fn who_floods_is_sifted_ever_more_until_the_socket_is_empty_and_let_in_again_then() {
    let (mut gauge, mut now) = pressed();
    window(&mut gauge, &mut now, 1000, false);
    let [Sifted { client: flooder, pass: first }] = gauge.sifted[..] else { panic!("{:?}", gauge.sifted) };
    assert_eq!(flooder, client(1).ip());
    assert!((u32::MAX / 2..u32::MAX / 5 * 4).contains(&first), "three quarters pass: {first}");
    // The flood goes on; what passes is what the kernel lets through of it.
    let mut before = first;
    for _ in 0..6 {
        let through = u32::try_from(1000 * u64::from(before) / u64::from(u32::MAX)).unwrap();
        window(&mut gauge, &mut now, through, false);
        let pass = gauge.sifted[0].pass;
        assert!(pass < before, "{pass} {before}");
        before = pass;
    }
    assert!(gauge.sifted.len() == 1 && before < u32::MAX / 5, "others are not touched: {:?}", gauge.sifted);
    // There is room again: a little more each window, and in the end everything.
    for round in 0.. {
        assert!(round < 256, "it ends");
        let Some(Sifted { pass, .. }) = gauge.sifted.first().copied() else { break };
        let through = u32::try_from(1000 * u64::from(pass) / u64::from(u32::MAX)).unwrap();
        window(&mut gauge, &mut now, through, true);
    }
    window(&mut gauge, &mut now, 1000, true);
    assert_eq!((gauge.ends, gauge.sifted.len()), (None, 0), "the pressure is over");
}

#[test]
fn a_flood_that_stops_leaves_nobody_sifted() {
    let (mut gauge, mut now) = pressed();
    for _ in 0..20 {
        window(&mut gauge, &mut now, 1000, false);
    }
    assert_eq!(gauge.sifted.len(), 1);
    for _ in 0..40 {
        now = now.plus(WINDOW);
        gauge.turn(now);
    }
    assert_eq!((gauge.ends, gauge.sifted.len()), (None, 0));
}

#[test]
fn among_equals_and_alone_nobody_is_sifted_since_it_would_help_nobody() {
    let (mut gauge, mut now) = pressed();
    for _ in 0..1000 {
        gauge.count(client(1));
    }
    now = now.plus(WINDOW);
    assert_eq!(gauge.turn(now), None);
    assert!(gauge.ends.is_some(), "the pressure goes on");
    for count in 0..1000_u32 {
        gauge.count(client(u8::try_from(count % 4).unwrap()));
    }
    now = now.plus(WINDOW);
    assert_eq!(gauge.turn(now), None);
    // More clients than are told apart.
    for count in 0..5000_u32 {
        gauge.count(client(u8::try_from(count % 200).unwrap()));
    }
    assert_eq!(gauge.seen.len(), CLIENTS);
    assert_eq!(gauge.turn(now.plus(WINDOW)), None);
}

#[test]
fn senders_that_are_proxies_are_not_told_apart() {
    let mut gauge = Gauge { proxied: true, ..Gauge::default() };
    for millis in [0, 20, 400] {
        gauge.judge(None, wall(at(millis)), 100, at(millis));
    }
    assert_eq!(gauge.ends, None);
}

#[test]
fn what_waited_longer_than_its_client_is_dropped_and_a_clock_that_was_set_drops_nothing() {
    let gauge = || Gauge { offset: Some(wall(at(0))), ..Gauge::default() };
    let now = at(10_000);
    let came = |ago: u64| Some(wall(now).saturating_sub(Duration::from_millis(ago)));
    assert_eq!(gauge().judge(came(2001), wall(now), 0, now), Verdict::Drop);
    assert_eq!(gauge().judge(came(2000), wall(now), 0, now), Verdict::Answer);
    assert_eq!(gauge().judge(None, wall(now), 0, now), Verdict::Answer, "a kernel that notes nothing");
    let later = wall(now) + Duration::from_secs(60);
    let mut set = gauge();
    assert_eq!(set.judge(came(0), later, 0, now), Verdict::Answer, "the clock was set a minute ahead");
    // While old ones are found each batch is looked at.
    let mut old = gauge();
    old.judge(came(3000), wall(now), 0, now);
    assert!((0..8).all(|_| old.looks()));
}

#[test]
fn after_a_stop_the_old_ones_in_a_socket_are_dropped_and_counted_and_the_young_ones_read() {
    // The wall clock of the test is ten seconds ahead of the kernel's, so all that comes is ten seconds old.
    let clock = Clock::manual(Wall(Clock::system().wall().0 + 10));
    let counters = Arc::<Counters>::default();
    let (event, _waker) = wake_handle().unwrap();
    let mut link = KernelLink::new(event, clock).unwrap().counted(counters.clone());
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = datagrams.local_addr().unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let number = link.adopt(Sockets { datagrams: Some(datagrams), listener: None::<TcpListener> }).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 * BATCH + 5 {
        client.send_to(b"query", to).unwrap();
    }
    let mut inbox = Inbox::default();
    assert_eq!(link.receive(number, &mut inbox).unwrap(), 5, "fewer than a batch is no pressure");
    assert_eq!(counters.overdue.read(), u64::try_from(3 * BATCH).unwrap());
}
