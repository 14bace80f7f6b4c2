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

/// A gauge of a socket that is under pressure, and the moment at which that began.
fn pressed() -> (Gauge, Tick) {
    let mut gauge = Gauge { offset: Some(wall(at(0))), ..Gauge::default() };
    assert!(gauge.looks());
    assert_eq!(gauge.judge(Some(wall(at(0))), wall(at(0)), ROOMY, at(0)), Verdict::Answer);
    assert_eq!(gauge.ends, None, "there is room for everybody");
    gauge.judge(Some(wall(at(0))), wall(at(0)), ROOMY + 1, at(0));
    assert_eq!(gauge.ends, Some(at(0).plus(WINDOW)));
    (gauge, at(0))
}

/// One window at whose end the socket was so full; so many queries came in it of clients 1, 2, 3 …, less what was sifted.
fn window(gauge: &mut Gauge, now: &mut Tick, fill: u8, sent: &[u32]) {
    for (number, sent) in (1..).zip(sent) {
        let sifted = gauge.sifted.iter().find(|sifted| sifted.client == client(number).ip());
        let pass = sifted.map_or(u32::MAX, |sifted| sifted.pass);
        for _ in 0..u64::from(*sent) * u64::from(pass) / u64::from(u32::MAX) {
            gauge.count(client(number));
        }
    }
    gauge.fill = fill;
    *now = now.plus(WINDOW);
    gauge.turn(*now);
}

/// How much passes of a client. Unit: percent.
fn passes(gauge: &Gauge, number: u8) -> u64 {
    let sifted = gauge.sifted.iter().find(|sifted| sifted.client == client(number).ip());
    sifted.map_or(100, |sifted| (u64::from(sifted.pass) * 100).div_ceil(u64::from(u32::MAX)))
}

#[test]
fn batches_that_are_not_full_cost_nothing_and_full_ones_a_look_now_and_then() {
    let mut gauge = Gauge::default();
    gauge.emptied();
    assert_eq!(gauge.ends, None);
    let looks = (0..64).filter(|_| gauge.looks()).count();
    assert_eq!(looks, 4, "one in sixteen");
    gauge.emptied();
    assert!(gauge.looks(), "the first full batch after a rest may be what came during a stop");
}

#[test]
fn who_floods_is_sifted_the_more_the_fuller_the_socket_is_and_let_in_again_when_there_is_room() {
    let sent = [1000, 3, 3, 3, 3];
    let (mut gauge, mut now) = pressed();
    let mut before = 100;
    for _ in 0..8 {
        window(&mut gauge, &mut now, FULL, &sent);
        assert_eq!(gauge.sifted.len(), 1, "others are not touched: {:?}", gauge.sifted);
        assert!(passes(&gauge, 1) <= before);
        before = passes(&gauge, 1);
    }
    assert!(before <= 10, "nearly all is dropped: {before}");
    // Windows in which nobody else happens to be seen change nothing.
    for _ in 0..3 {
        window(&mut gauge, &mut now, FULL, &[1000]);
        assert!(gauge.sifted.len() == 1 && passes(&gauge, 1) <= before);
    }
    // Half way between the marks half of it passes, for as long as that lasts.
    for _ in 0..16 {
        window(&mut gauge, &mut now, ROOMY.midpoint(FULL), &sent);
    }
    assert!((48..=53).contains(&passes(&gauge, 1)), "{}", passes(&gauge, 1));
    for _ in 0..16 {
        window(&mut gauge, &mut now, 0, &sent);
    }
    assert_eq!((gauge.ends, gauge.sifted.len()), (None, 0), "the pressure is over");
}

#[test]
fn a_flood_that_stops_leaves_nobody_sifted() {
    let (mut gauge, mut now) = pressed();
    for _ in 0..20 {
        window(&mut gauge, &mut now, FULL, &[1000, 3, 3]);
    }
    assert_eq!(gauge.sifted.len(), 1);
    for _ in 0..20 {
        window(&mut gauge, &mut now, 0, &[]);
    }
    assert_eq!((gauge.ends, gauge.sifted.len(), gauge.great.len()), (None, 0, 0));
}

#[test]
fn of_several_floods_the_same_number_passes_or_all_that_one_sends() {
    let (mut gauge, mut now) = pressed();
    for _ in 0..16 {
        window(&mut gauge, &mut now, ROOMY.midpoint(FULL), &[4000, 2000, 1000, 2]);
    }
    // Half of 7000 are 3500: all of the third, and 1250 of each of the others.
    let of = |number: u8, sent: u64| passes(&gauge, number) * sent / 100;
    assert!((1200..1350).contains(&of(1, 4000)) && (1200..1350).contains(&of(2, 2000)), "{:?}", gauge.sifted);
    assert_eq!((passes(&gauge, 3), passes(&gauge, 4)), (100, 100));
}

#[test]
fn among_equals_and_alone_nobody_is_sifted_since_it_would_help_nobody() {
    let (mut gauge, mut now) = pressed();
    for sent in [&[1000][..], &[250; 4], &[100; 20]] {
        window(&mut gauge, &mut now, 100, sent);
        assert_eq!(gauge.sifted, [], "{sent:?}");
        assert!(gauge.ends.is_some(), "the pressure goes on");
    }
    // More clients than are told apart.
    for count in 0..5000_u32 {
        gauge.count(client(u8::try_from(count % 200).unwrap()));
    }
    assert_eq!(gauge.seen.len(), CLIENTS);
    gauge.fill = 100;
    assert_eq!(gauge.turn(now.plus(WINDOW)), None);
}

#[test]
fn senders_that_are_proxies_are_not_told_apart() {
    let mut gauge = Gauge { proxied: true, ..Gauge::default() };
    gauge.judge(None, wall(at(0)), 100, at(0));
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
