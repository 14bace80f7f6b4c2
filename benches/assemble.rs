//! `cargo bench --bench assemble`: what it costs to write a drafted reply. Nanoseconds a reply, median of 15 rounds.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]

#[path = "micro/world.rs"]
mod world;

use std::hint::black_box;

use signpost::time::Clock;
use signpost::wire::{Head, Owner, Query, Question, Rcode, Section, Sections, Shape, assemble};

/// Rounds.
const ROUNDS: usize = 15;

/// Replies of a round.
const REPLIES: u32 = 100_000;

/// A word for a kind of reply, and what drafts it.
type Kind<'a> = (&'a str, &'a dyn Fn(&mut Sections));

/// Drafts `count` addresses.
fn addresses(draft: &mut Sections, count: u8) {
    (0..count).for_each(|last| {
        draft.push_address(Section::Answer, Owner::Question, 30, &[10, 1, 0, last]);
    });
}

/// Drafts `count` SRV records with their glue.
fn services(draft: &mut Sections, question: &Question, count: u8) {
    let label = |last: u8| format!("10-1-0-{last}").into_bytes();
    let ids: Vec<u16> = (0..count)
        .map(|last| {
            draft.push(Section::Answer, Owner::Question, 33, 30, |rdata| {
                [0, 20, 8080].into_iter().for_each(|word| rdata.word(word));
                rdata.label(&label(last));
                rdata.zone(question, 2);
            })
        })
        .collect();
    for (last, id) in (0..).zip(ids) {
        draft.push_address(Section::Additional, Owner::Target(id), 30, &[10, 1, 0, last]);
    }
}

fn main() {
    if world::only_started() {
        return;
    }
    let clock = Clock::system();
    let bytes = world::query("_http._tcp.service-00010.team-010.svc.cluster.local.", 33);
    let mut question = Question::default();
    let query = Query::parse(&bytes, &mut question).expect("a sound query");
    println!("{:<40} {:>10} {:>10}", "ns a reply", "median", "bytes");
    let kinds: [Kind<'_>; 5] = [
        ("one address", &|draft| addresses(draft, 1)),
        ("5 addresses", &|draft| addresses(draft, 5)),
        ("200 addresses, cut", &|draft| addresses(draft, 200)),
        ("5 SRV with glue", &|draft| services(draft, &question, 5)),
        ("nothing", &|_| {}),
    ];
    for (what, draw) in kinds {
        let mut draft = Sections::default();
        draft.clear(true);
        draw(&mut draft);
        let mut out = vec![0_u8; 1232];
        let mut length = 0;
        let head = Head::new(Rcode::NOERROR);
        let rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let begin = clock.now();
                for _ in 0..REPLIES {
                    let edns = query.edns.as_ref();
                    let shape = Shape::datagram(edns);
                    length = assemble(
                        query.header,
                        black_box(&question),
                        &head,
                        edns,
                        black_box(&draft),
                        shape,
                        &mut out,
                    )
                    .0;
                }
                clock.now().since(begin).as_secs_f64() * 1e9 / f64::from(REPLIES)
            })
            .collect();
        println!("{what:<40} {:>10.0} {length:>10}", world::median(rounds));
    }
}
