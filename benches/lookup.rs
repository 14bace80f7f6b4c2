//! `cargo bench --bench lookup`: what a query costs in this process, from its bytes to the bytes of its reply.
//!
//! 10,000 Services (every tenth headless), one headless Service of 5,000 endpoints; names at random. Nanoseconds a query, the
//! median of 15 rounds and the quickest; no sockets, so that what is ours shows.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]

#[path = "micro/world.rs"]
mod world;

use std::hint::black_box;

use signpost::time::Clock;
use world::{Size, WORK, World};

/// Rounds of each kind of work.
const ROUNDS: usize = 15;

/// Queries of a round.
const QUERIES: usize = 20_000;

fn main() {
    if world::only_started() {
        return;
    }
    let size = Size { services: 10_000, endpoints: 5 };
    let mut here = World::new(size);
    world::add_large(&mut here.writer);
    let clock = Clock::system();
    let mut rng = fastrand::Rng::with_seed(1);
    println!("{:<40} {:>10} {:>10}", "ns a query", "median", "quickest");
    for (work, (what, ..)) in WORK.iter().enumerate() {
        let queries = world::queries(work, (0..QUERIES).map(|_| rng.usize(..size.services)));
        for query in &queries {
            world::check(work, here.answer(query));
        }
        let rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let begin = clock.now();
                for query in &queries {
                    black_box(here.answer(black_box(query)));
                }
                clock.now().since(begin).as_secs_f64() * 1e9 / f64::from(u32::try_from(QUERIES).unwrap_or(1))
            })
            .collect();
        let quickest = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{:<40} {:>10.0} {:>10.0}", what, world::median(rounds), quickest);
    }
}
