//! Z11: whole conversations with upstreams that lie: many names, replies of every kind to any of the questions that are open,
//! and time.

use std::collections::BTreeMap;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;

use super::desk::Desk;
use super::seeds::{name, query, record, soa};
use super::target::Seed;

/// Names; the address of the one at place N is 192.0.2.N, but that of an alias is that of its target.
const NAMES: [&str; 6] = [
    "a.example.org",
    "b.example.org",
    "alias.example.org",
    "c.example.net",
    "none.example.org",
    "victim.example",
];

/// The place of the alias, and that of its target.
const ALIAS: (usize, usize) = (2, 3);

/// The place of the name that is not there.
const NONE: usize = 4;

/// The most queries under way at once, and steps of a conversation.
const STEPS: usize = 64;

/// The most packets to upstreams for each question of a client: what 3.8 s have time for when each wait for one of the two is twice its
/// last, from 200 ms on, and the second is asked early (F-03): after 0, 0.2, 0.6, 1, 1.8 and 2.6 s behind that, and the first one. Each
/// FORMERR allows for one more, without EDNS.
const PACKETS: usize = 7;

/// How an upstream says FORMERR.
const FORMERR: u8 = 7;

/// Longer than any query may wait.
const LONG: Duration = Duration::from_secs(12);

/// A conversation, as far as it has gone.
struct Dialogue {
    /// The worker.
    desk: Desk,
    /// What is asked of upstreams and was not answered: our socket, and the query.
    open: Vec<(usize, Vec<u8>)>,
    /// Queries of clients by id: which name.
    asked: BTreeMap<u16, usize>,
    /// Packets to upstreams.
    packets: usize,
    /// Questions of clients.
    questions: usize,
    /// FORMERRs that upstreams said.
    formerrs: usize,
}

/// Each three bytes are a step: what, of which, how.
pub(super) fn run(bytes: &[u8]) {
    let mut dialogue = Dialogue {
        desk: Desk::forwarding("cache 30 {\n serve_stale 1h\n }"),
        open: Vec::new(),
        asked: BTreeMap::new(),
        packets: 0,
        questions: 0,
        formerrs: 0,
    };
    for step in bytes.chunks_exact(3).take(STEPS) {
        dialogue.step(step[0], usize::from(step[1]), step[2]);
    }
    // Nobody says anything any more: every query has its end.
    for _ in 0..12 {
        dialogue.desk.pass(LONG / 12);
        dialogue.look();
    }
    assert!(dialogue.asked.is_empty(), "{:?} never had a reply", dialogue.asked);
    assert!(
        dialogue.packets <= PACKETS * dialogue.questions + dialogue.formerrs,
        "{} packets for {} questions, and {} FORMERRs",
        dialogue.packets,
        dialogue.questions,
        dialogue.formerrs
    );
}

impl Dialogue {
    /// A step.
    fn step(&mut self, what: u8, which: usize, how: u8) {
        match what % 4 {
            0 => {
                let place = which % NAMES.len();
                let id = u16::try_from(self.questions).unwrap_or(u16::MAX) + 1;
                self.questions += 1;
                self.asked.insert(id, place);
                self.desk.send(&query(id, NAMES[place], 1));
            }
            1 | 2 => {
                if !self.open.is_empty() {
                    let (socket, query) = self.open.remove(which % self.open.len());
                    if what % 4 == 2 {
                        // What is said now may be said again, and be true then.
                        self.open.push((socket, query.clone()));
                    }
                    self.formerrs += usize::from(how % 16 == FORMERR);
                    self.desk.say(socket, &said(&query, how));
                }
            }
            _ => self.desk.pass(Duration::from_millis(25 * u64::from(how))),
        }
        self.look();
    }

    /// Takes what went out and what came back.
    fn look(&mut self) {
        let mut came = self.desk.came();
        // What upstreams are asked to see whether they live is no question of a client.
        came.retain(|(_, query)| {
            NAMES.iter().any(|known| query[12..].to_ascii_lowercase().starts_with(&name(known)))
        });
        self.packets += came.len();
        self.open.extend(came);
        for reply in self.desk.received() {
            let reply = Message::from_vec(&reply).unwrap_or_else(|error| panic!("{error}: {reply:02x?}"));
            let place = self.asked.remove(&reply.metadata.id).expect("one reply to each query");
            judge(&reply, place);
        }
    }
}

/// The address of a name, and whether it may be said of it.
fn address(place: usize) -> [u8; 4] {
    [192, 0, 2, u8::try_from(place).unwrap_or(0)]
}

/// A reply says of a name what its own upstreams said of it, or that nothing can be said.
fn judge(reply: &Message, place: usize) {
    let code = u16::from(reply.metadata.response_code);
    assert!([0, 1, 2, 3, 5].contains(&code), "{code}");
    assert!(place == NONE || code != 3, "{} exists", NAMES[place]);
    for record in &reply.answers {
        let owner = record.name.to_ascii().to_ascii_lowercase();
        let owner = owner.trim_end_matches('.');
        let expected = if place == ALIAS.0 { [NAMES[ALIAS.0], NAMES[ALIAS.1]] } else { [NAMES[place]; 2] };
        assert!(expected.contains(&owner), "{owner} in an answer about {}", NAMES[place]);
        if let RData::A(found) = &record.data {
            let known = if owner == NAMES[ALIAS.1] { ALIAS.1 } else { place };
            assert_eq!(found.0.octets(), address(known), "of {owner}, asked for {}", NAMES[place]);
        }
    }
}

/// What an upstream says to a query: the truth, what may be said of it without harm, or what must not be believed.
fn said(query: &[u8], how: u8) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    end += 5;
    let asked = query[12..end - 4].to_ascii_lowercase();
    let place = NAMES.iter().position(|known| name(known) == asked).expect("nothing else is asked for");
    let here = [0xc0, 12];
    let bad = record(&here, 1, 600, &[6, 6, 6, 6]);
    let other = record(&name(NAMES[5]), 1, 600, &[6, 6, 6, 6]);
    let reply = |flags: u8, counts: [u8; 3], records: &[Vec<u8>]| {
        let mut bytes = query[..end].to_vec();
        (bytes[2], bytes[3]) = (0x81, flags);
        bytes[6..12].copy_from_slice(&[0, counts[0], 0, counts[1], 0, counts[2]]);
        [bytes, records.concat()].concat()
    };
    let soa = record(&name("example.org"), 6, 60, &soa("ns.example.org"));
    let alias = record(&here, 5, 20, &name(NAMES[ALIAS.1]));
    let target = record(&name(NAMES[ALIAS.1]), 1, 20, &address(ALIAS.1));
    let truth = match place {
        NONE => reply(0x83, [0, 1, 0], std::slice::from_ref(&soa)),
        place if place == ALIAS.0 => reply(0x80, [2, 0, 0], &[alias.clone(), target]),
        place => reply(0x80, [1, 0, 0], &[record(&here, 1, 20, &address(place))]),
    };
    let mut lie = reply(0x80, [1, 0, 0], std::slice::from_ref(&bad));
    match how % 16 {
        // The truth, with more than was asked for.
        4 => {
            let mut more = truth;
            more[11] += 1;
            [more, other].concat()
        }
        5 => reply(0x82, [0, 0, 0], &[]),
        6 => reply(0x85, [0, 0, 0], &[]),
        FORMERR => reply(0x81, [0, 0, 0], &[]),
        // Only what belongs to others.
        8 if place != 5 => reply(0x80, [1, 0, 0], &[other]),
        9 => {
            lie[0] ^= 0x5a;
            lie
        }
        10 => {
            lie[13] ^= 0x01;
            lie
        }
        11 => {
            lie[2] &= 0x7f;
            lie
        }
        12 => {
            lie[end - 3] = 28;
            lie
        }
        13 => lie[..end + usize::from(how) % 16].to_vec(),
        14 => {
            // A pointer to itself.
            let at = u8::try_from(end).unwrap_or(0);
            lie[end..end + 2].copy_from_slice(&[0xc0, at]);
            lie
        }
        15 => vec![how; 20],
        _ => truth,
    }
}

/// Conversations.
pub(super) fn seeds() -> Vec<Seed> {
    let ask = |place: u8| vec![0, place, 0];
    let say = |which: u8, how: u8| vec![1, which, how];
    let again = |which: u8, how: u8| vec![2, which, how];
    let pass = |quarters: u8| vec![3, 0, quarters];
    let all = |steps: &[Vec<u8>]| steps.concat();
    let lies: Vec<Vec<u8>> = (4..16).flat_map(|how| [ask(how % 6), again(0, how), say(0, 0)]).collect();
    vec![
        ("truth", all(&[ask(0), say(0, 0), ask(0), pass(255), ask(0), say(0, 0)])),
        ("alias", all(&[ask(2), say(0, 0), ask(3), say(0, 0), ask(2)])),
        ("none", all(&[ask(4), say(0, 0), ask(4)])),
        ("lies", all(&lies)),
        ("victim_between", all(&[ask(0), ask(5), say(0, 4), say(0, 8), ask(5), say(0, 0)])),
        ("silence", all(&[ask(0), pass(200), pass(200), ask(1), say(0, 0)])),
        ("refusals", all(&[ask(1), say(0, 6), say(0, 5), ask(1), say(0, 7), say(0, 7), pass(250), ask(1)])),
        (
            "stale",
            all(&[
                ask(0),
                say(0, 0),
                pass(255),
                pass(255),
                pass(255),
                pass(255),
                ask(0),
                pass(120),
                say(0, 5),
            ]),
        ),
        ("silence_alone", all(&[ask(1), pass(7)])),
        ("same_question", all(&[ask(0), ask(0), ask(0), again(0, 9), say(0, 0)])),
    ]
}
