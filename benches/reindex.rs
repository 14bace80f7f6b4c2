//! `cargo bench --bench reindex`: what changes cost the store.
//!
//! 10,000 Services with 50,000 endpoints, and a headless Service of 5,000 endpoints in 50 slices. Medians, and the slowest.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]

#[path = "micro/world.rs"]
mod world;

use std::time::Duration;

use signpost::store::{Change, Kind, ObjectKey, Sink as _, Store, Wanted, Writer};
use signpost::time::{Clock, Wall};
use world::{LARGE, Size};

/// The cluster.
const SIZE: Size = Size { services: 10_000, endpoints: 5 };

/// Times some work; prints median and maximum.
fn time(what: &str, rounds: usize, mut work: impl FnMut(usize) -> Duration) {
    let times: Vec<f64> = (0..rounds).map(|round| work(round).as_secs_f64() * 1e6).collect();
    let slowest = times.iter().copied().fold(0.0, f64::max);
    println!("{what:<60} {:>12.1} {slowest:>12.1}", world::median(times));
}

fn main() {
    if world::only_started() {
        return;
    }
    let clock = Clock::system();
    let timed = |work: &mut dyn FnMut()| {
        let begin = clock.now();
        work();
        clock.now().since(begin)
    };
    let wanted = Wanted { endpoints: true, ..Wanted::default() };
    let new = || Store::new(wanted, Clock::manual(Wall(1_700_000_000)));
    println!("{:<60} {:>12} {:>12}", "us", "median", "slowest");
    time("first list of everything", 7, |_| {
        let (_store, mut writer) = new();
        timed(&mut || world::fill(&mut writer, SIZE, 1))
    });
    let (store, mut writer) = new();
    world::fill(&mut writer, SIZE, 1);
    world::add_large(&mut writer);
    time("list of everything, nothing changed", 7, |_| timed(&mut || world::fill(&mut writer, SIZE, 1)));
    let (large, mut writer) = (store, writer);
    // The lists swept it.
    world::add_large(&mut writer);
    let event = |writer: &mut Writer, object| {
        timed(&mut || {
            writer.change(Change::Upsert(std::clone::Clone::clone(&object)));
            writer.settle();
        })
    };
    time("a new Service", 500, |round| event(&mut writer, world::service(20_000 + round, false, 1)));
    time("a Service that goes", 500, |round| {
        let number = 20_000 + round;
        let key = ObjectKey::new(&world::namespace_of(number), &world::name_of(number));
        timed(&mut || {
            writer.change(Change::Remove(Kind::Services, key.clone()));
            writer.settle();
        })
    });
    time("an event of a slice of 5", 500, |round| {
        event(&mut writer, world::slice(7 * round, 0, (7 * round * 5 + 1, 5), 2))
    });
    time("an event of one of 50 slices with 100 endpoints each", 500, |round| {
        event(&mut writer, world::large_slice(round % LARGE.0, round + 2))
    });
    drop(large);
}
