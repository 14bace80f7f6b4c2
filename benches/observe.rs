//! `cargo bench --bench observe`: what the word `observe` adds to a query, and what it takes of memory.
//!
//! Names and clients are drawn by Zipf's law, as resolvers ask, or each once, which is the worst: every counter changes hands.
//! Nanoseconds a query, the median of 15 rounds and the quickest.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]

#[path = "micro/world.rs"]
mod world;

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use signpost::observe::{Observer, ObserverSpec, Seen};
use signpost::time::{Clock, Tick, Wall};
use signpost::wire::parse_name;

/// Rounds of each kind of work.
const ROUNDS: usize = 15;

/// Queries of a round.
const QUERIES: usize = 50_000;

/// Which of so many is asked for: a number up to `most`, small ones most often.
fn zipf(rng: &mut fastrand::Rng, most: f64) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `most`")]
    let number = (most.powf(rng.f64()) - 1.0) as usize;
    number
}

/// What is asked: the name, the last bytes of the client's address, the code.
type Asked = (Vec<u8>, u32, u16);

/// A round of queries.
fn round(
    rng: &mut fastrand::Rng,
    name: impl Fn(&mut fastrand::Rng) -> String,
    clients: f64,
    rcode: u16,
) -> Vec<Asked> {
    let mut one = || {
        let name = parse_name(&name(rng)).unwrap_or_default();
        (name, u32::try_from(zipf(rng, clients)).unwrap_or(0), rcode)
    };
    (0..QUERIES).map(|_| one()).collect()
}

fn main() {
    if world::only_started() {
        return;
    }
    let clock = Clock::system();
    let mut rng = fastrand::Rng::with_seed(1);
    memory(&mut rng);
    let service =
        |rng: &mut fastrand::Rng| format!("service-{}.shop.svc.cluster.local.", zipf(rng, 10_000.0));
    let outside =
        |rng: &mut fastrand::Rng| format!("host-{}.example.org.shop.svc.cluster.local.", zipf(rng, 10_000.0));
    let random = |rng: &mut fastrand::Rng| format!("{:x}.example.org.shop.svc.cluster.local.", rng.u64(..));
    let works = [
        ("Services, 10,000 names, 1,000 clients", round(&mut rng, service, 1e3, 0)),
        ("search list in vain, 10,000 names", round(&mut rng, outside, 1e3, 3)),
        ("random names, a million clients", round(&mut rng, random, 1e6, 3)),
    ];
    println!("{:<40} {:>10} {:>10}", "ns a query", "median", "quickest");
    for (what, queries) in &works {
        let spec = ObserverSpec { queries: 10_000, slow: Duration::from_millis(100) };
        let observer = Observer::new(spec, 1, clock.now());
        let rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let begin = clock.now();
                for (name, client, rcode) in queries {
                    observer.note(0, black_box(&seen(name, *client, *rcode)));
                }
                clock.now().since(begin).as_secs_f64() * 1e9 / f64::from(u32::try_from(QUERIES).unwrap_or(1))
            })
            .collect();
        let quickest = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{what:<40} {:>10.0} {:>10.0}", world::median(rounds), quickest);
    }
}

/// Memory of this process. Unit: KiB.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// What two workers take once every window is full of names that are all different.
fn memory(rng: &mut fastrand::Rng) {
    let clock = Clock::manual(Wall(1_700_000_000));
    let before = resident();
    let spec = ObserverSpec { queries: 10_000, slow: Duration::from_micros(1) };
    let observer = Observer::new(spec, 2, clock.now());
    for _ in 0..4 * 70 {
        for query in 0..4000 {
            let text = format!("{:x}.example.org.shop.svc.cluster.local.", rng.u64(..));
            let name = parse_name(&text).unwrap_or_default();
            observer.note(query % 2, &seen(&name, rng.u32(..), 3));
        }
        clock.advance(Duration::from_secs(15));
        observer.tend(clock.now());
    }
    let kib = resident().saturating_sub(before);
    println!("memory of two workers, all windows full: {}.{} MiB", kib / 1024, kib * 10 / 1024 % 10);
}

/// A query.
fn seen(name: &[u8], client: u32, rcode: u16) -> Seen<'_> {
    let [_, a, b, c] = client.to_be_bytes();
    Seen {
        at: Tick(1),
        took: Duration::from_micros(20),
        client: IpAddr::from([10, a, b, c]),
        port: 40_000,
        tcp: false,
        name,
        qtype: 1,
        rcode,
        answers: rcode == 0,
        word: 1,
        namespace: Some(b"shop"),
        candidate: rcode == 3,
    }
}
