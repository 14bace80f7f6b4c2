//! Properties of what is read from upstreams (RELIABILITY Z2), over replies that are made, broken and made up: what is
//! accepted hickory reads too, it answers what was asked, and nothing is kept but what belongs to the question.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use signpost::forward::{Expect, Response, Unfit, read};
use signpost::fuzzing::judge_response;
use signpost::wire::{Question, Sections};

/// Names: a question's, links, zones above them, and others'.
const NAMES: &[&str] = &[
    "www.example.org",
    "a.example.org",
    "b.a.example.org",
    "c.example.net",
    "example.org",
    "example.net",
    "org",
    "",
    "ns.example.org",
    "victim.example",
    "www.victim.example",
    "example",
    "WWW.Example.ORG",
    "xwww.example.org",
    "le.org",
];

/// Types that are asked for.
const ASKED: &[u16] = &[1, 28, 5, 255, 16, 15, 2, 12, 6, 33, 46, 35];

/// A record before it is written: section, owner, type, class, TTL, names and bytes of its data.
#[derive(Clone, Debug)]
struct Draft {
    /// 0 answer, 1 authority, 2 additional.
    section: usize,
    /// Of `NAMES`.
    owner: usize,
    /// TYPE.
    rtype: u16,
    /// CLASS.
    class: u16,
    /// TTL.
    ttl: u32,
    /// Of `NAMES`, for types with names.
    target: usize,
    /// Bytes, for all others.
    bytes: Vec<u8>,
}

/// A name in wire form.
fn wire(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A message in the making, names compressed where they can be.
struct Writer {
    /// The message.
    out: Vec<u8>,
    /// Where the ends of names stand.
    known: HashMap<Vec<u8>, usize>,
    /// Whether to compress.
    compress: bool,
}

impl Writer {
    /// A name.
    fn name(&mut self, text: &str) {
        let name = wire(text);
        let mut at = 0;
        while name[at] != 0 {
            let rest = name[at..].to_vec();
            if let Some(&place) = self.known.get(&rest).filter(|_| self.compress) {
                self.word(0xc000 | u16::try_from(place).unwrap());
                return;
            }
            if self.out.len() < 0x3fff {
                self.known.insert(rest, self.out.len());
            }
            let end = at + 1 + usize::from(name[at]);
            self.out.extend_from_slice(&name[at..end]);
            at = end;
        }
        self.out.push(0);
    }

    /// A 16-bit number.
    fn word(&mut self, word: u16) {
        self.out.extend_from_slice(&word.to_be_bytes());
    }

    /// A record.
    fn record(&mut self, draft: &Draft) {
        self.name(NAMES[draft.owner]);
        self.word(draft.rtype);
        self.word(draft.class);
        self.out.extend_from_slice(&draft.ttl.to_be_bytes());
        let length_at = self.out.len();
        self.word(0);
        let target = NAMES[draft.target];
        match draft.rtype {
            1 => self.out.extend_from_slice(&[192, 0, 2, 1]),
            28 => self.out.extend_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            2 | 5 | 12 | 39 => self.name(target),
            15 => {
                self.word(10);
                self.name(target);
            }
            33 => {
                self.out.extend_from_slice(&[0, 1, 0, 2, 0, 53]);
                self.name(target);
            }
            6 => {
                self.name(target);
                self.name("mail.example.org");
                self.out.extend_from_slice(&[0; 20]);
            }
            35 => {
                self.out.extend_from_slice(&[0, 1, 0, 2, 1, b'u', 3, b'E', b'2', b'U', 0]);
                self.name(target);
            }
            46 => {
                self.out.extend_from_slice(&[0, 1, 8, 2, 0, 0, 0, 60, 0x65, 0, 0, 0, 0x64, 0, 0, 0, 0, 1]);
                // A signer's name is never compressed (RFC 4034 §3.1.7).
                self.out.extend_from_slice(&wire(target));
                self.out.extend_from_slice(&[7; 16]);
            }
            47 => {
                self.out.extend_from_slice(&wire(target));
                self.out.extend_from_slice(&[0, 1, 0x40]);
            }
            16 => {
                let text: Vec<u8> = draft.bytes.iter().copied().take(40).collect();
                self.out.push(u8::try_from(text.len()).unwrap());
                self.out.extend_from_slice(&text);
            }
            _ => self.out.extend_from_slice(&draft.bytes),
        }
        let length = u16::try_from(self.out.len() - length_at - 2).unwrap();
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }
}

/// A reply to make: the question's name, its type, DO, flags, records, whether to compress.
type Plan = (usize, u16, bool, u16, Vec<Draft>, bool);

/// The id of all.
const ID: u16 = 0x1234;

/// The bytes of a plan.
fn bytes(plan: &Plan) -> Vec<u8> {
    let (qname, qtype, _, flags, drafts, compress) = plan;
    let mut writer = Writer { out: Vec::new(), known: HashMap::new(), compress: *compress };
    let of = |section: usize| drafts.iter().filter(move |draft| draft.section == section);
    for word in [ID, 0x8000 | flags & 0x05bf, 1] {
        writer.word(word);
    }
    for section in 0..3 {
        writer.word(u16::try_from(of(section).count()).unwrap());
    }
    writer.name(NAMES[*qname]);
    writer.word(*qtype);
    writer.word(1);
    for section in 0..3 {
        of(section).for_each(|draft| writer.record(draft));
    }
    writer.out
}

/// A record.
fn a_record() -> impl Strategy<Value = Draft> {
    let rtype = prop_oneof![
        6 => Just(5_u16), 4 => Just(1), 2 => Just(28), 1 => Just(2), 1 => Just(6), 1 => Just(15), 1 => Just(16),
        1 => Just(33), 1 => Just(46), 1 => Just(47), 1 => Just(39), 1 => Just(35), 1 => Just(12), 1 => Just(65_280),
    ];
    let ttl = prop_oneof![0..100_u32, Just(0x7fff_ffff), Just(0x8000_0000), any::<u32>()];
    let class = prop_oneof![12 => Just(1_u16), 1 => Just(3)];
    (0..3_usize, 0..NAMES.len(), rtype, class, ttl, 0..NAMES.len(), vec(any::<u8>(), 0..60)).prop_map(
        |(section, owner, rtype, class, ttl, target, bytes)| Draft {
            section,
            owner,
            rtype,
            class,
            ttl,
            target,
            bytes,
        },
    )
}

/// A plan.
fn a_plan() -> impl Strategy<Value = Plan> {
    let qtype = prop_oneof![3 => Just(1_u16), 2 => proptest::sample::select(ASKED)];
    (0..4_usize, qtype, any::<bool>(), any::<u16>(), vec(a_record(), 0..14), any::<bool>())
}

/// Reads as the exchange would.
fn read_as(plan: &Plan, bytes: &[u8]) -> (Question, Result<Response, Unfit>) {
    let question = Question::new(&wire(NAMES[plan.0]), plan.1).unwrap();
    let expect = Expect { id: ID, question: &question, letters: None, dnssec_ok: plan.2 };
    let response = read(bytes, &expect, &mut Sections::default());
    (question, response)
}

/// Checks a reply that was accepted: the judge is that of the fuzz target.
fn check(plan: &Plan, bytes: &[u8], question: &Question, response: &Response) {
    let expect = Expect { id: ID, question, letters: None, dnssec_ok: plan.2 };
    judge_response(bytes, &expect, response);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_sound_is_accepted_and_only_what_belongs_is_kept(plan in a_plan()) {
        let bytes = bytes(&plan);
        let (question, response) = read_as(&plan, &bytes);
        let response = response.map_err(|unfit| TestCaseError::fail(format!("{unfit:?}: {bytes:02x?}")))?;
        check(&plan, &bytes, &question, &response);
    }

    #[test]
    fn what_is_broken_and_accepted_all_the_same_is_sound(
        plan in a_plan(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = bytes(&plan);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()).max(1));
        }
        let (question, response) = read_as(&plan, &bytes);
        if let Ok(response) = response {
            check(&plan, &bytes, &question, &response);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(plan in a_plan(), tail in vec(any::<u8>(), 0..400), counts in any::<[u8; 6]>()) {
        let whole = bytes(&plan);
        let question = 12 + wire(NAMES[plan.0]).len() + 4;
        let mut bytes = whole[..question.min(whole.len())].to_vec();
        bytes[6..12].copy_from_slice(&counts);
        bytes.extend(tail);
        let _ = read_as(&plan, &bytes);
    }

    #[test]
    fn another_id_question_or_direction_is_never_an_answer(plan in a_plan(), id in any::<u16>(), what in 0..5_usize) {
        let mut bytes = bytes(&plan);
        let name = wire(NAMES[plan.0]).len();
        match what {
            0 => bytes[0..2].copy_from_slice(&id.to_be_bytes()),
            1 => bytes[2] &= 0x7f,
            2 => bytes[5] = u8::try_from(id % 4).unwrap(),
            3 => bytes[12 + name + 1] ^= u8::try_from(id & 0xff).unwrap(),
            _ => bytes[2] ^= 0x78 & u8::try_from(id & 0xff).unwrap(),
        }
        let changed = bytes != self::bytes(&plan);
        let (_, response) = read_as(&plan, &bytes);
        prop_assert!(!changed || response.is_err());
    }
}

/// A message with so many pointers to pointers before the owner of its one record.
fn pointers(count: usize) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 1];
    bytes.extend(wire("www.example.org"));
    bytes.extend([0, 1, 0, 1]);
    // An unknown record whose data is the chain of pointers, the first of which points at the question.
    let start = bytes.len() + 12;
    bytes.extend([0xc0, 12, 0xff, 0, 0, 1, 0, 0, 0, 0]);
    bytes.extend(u16::try_from(2 * count).unwrap().to_be_bytes());
    for step in 0..count {
        let to = if step == 0 { 12 } else { start + 2 * (step - 1) };
        bytes.extend((0xc000 | u16::try_from(to).unwrap()).to_be_bytes());
    }
    let last = start + 2 * (count - 1);
    bytes.extend((0xc000 | u16::try_from(last).unwrap()).to_be_bytes());
    bytes.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    bytes
}

#[test]
fn pointers_to_pointers_are_not_followed_for_ever() {
    let plan: Plan = (0, 1, false, 0, Vec::new(), false);
    assert!(read_as(&plan, &pointers(100)).1.is_ok(), "as long as a name may have labels");
    assert_eq!(read_as(&plan, &pointers(200)).1.err(), Some(Unfit::Malformed));
    assert_eq!(read_as(&plan, &pointers(8000)).1.err(), Some(Unfit::Malformed));
}

#[test]
fn names_in_data_are_whole_where_they_may_have_been_compressed() {
    // RFC 3597 §4: also in NAPTR.
    let draft = Draft { section: 0, owner: 0, rtype: 35, class: 1, ttl: 60, target: 1, bytes: Vec::new() };
    let plan: Plan = (0, 35, false, 0, vec![draft], true);
    let (_, response) = read_as(&plan, &bytes(&plan));
    let mut kept = Sections::default();
    kept.load(&response.unwrap().records);
    let record = &kept.records()[0];
    assert!(kept.rdata(record).ends_with(&wire("a.example.org")), "{:02x?}", kept.rdata(record));
}

/// A record to `NAMES[owner]`, whose data is `NAMES[target]` where it is a name.
fn draft(section: usize, owner: usize, rtype: u16, class: u16, target: usize) -> Draft {
    Draft { section, owner, rtype, class, ttl: 60, target, bytes: Vec::new() }
}

/// The types of what is kept of a reply to A of `www.example.org` with DO.
fn kept(drafts: Vec<Draft>) -> Vec<u16> {
    let plan: Plan = (0, 1, true, 0, drafts, false);
    let bytes = bytes(&plan);
    let (question, response) = read_as(&plan, &bytes);
    let response = response.unwrap();
    check(&plan, &bytes, &question, &response);
    let mut kept = Sections::default();
    kept.load(&response.records);
    kept.records().iter().map(|record| record.rtype).collect()
}

#[test]
fn a_dname_above_two_names_of_a_chain_is_kept_once() {
    // www.example.org is an alias of a.example.org, that of c.example.net; the DNAME stands at example.org.
    let drafts =
        vec![draft(0, 4, 39, 1, 5), draft(0, 0, 5, 1, 1), draft(0, 1, 5, 1, 3), draft(0, 3, 1, 1, 0)];
    assert_eq!(kept(drafts), [39, 5, 5, 1]);
}

#[test]
fn a_signature_of_another_class_proves_nothing() {
    // An NSEC beside the question, and its signature by example.org.
    let proof = |class: u16| vec![draft(1, 13, 47, 1, 4), draft(1, 13, 46, class, 4)];
    assert_eq!(kept(proof(1)), [47, 46]);
    assert_eq!(kept(proof(3)), [0_u16; 0]);
}
