//! Random small zones: what is looked up equals what a naive model says.

use proptest::prelude::*;

use super::super::{Builder, Verdict, Zone};
use crate::wire::{Question, Section, Sections, parse_name, rtype};

/// A record of the model: labels left of the zone, rightmost first; type; RDATA as a number or a name.
type Row = (Vec<&'static str>, u16, Data);

/// RDATA of the model.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Data {
    /// An address.
    Address(u8),
    /// A name, as labels.
    Name(Vec<&'static str>),
}

/// What the model says.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Said {
    /// Records of the type: last bytes of addresses, sorted.
    Data(Vec<u8>),
    /// The name is there.
    NoData,
    /// It is not.
    Missing,
    /// It lies beyond the cut of so many labels.
    Referral(usize),
    /// Aliases without end.
    Endless,
}

/// A name of the model as text.
fn text(labels: &[&str]) -> String {
    labels.iter().rev().fold(String::new(), |name, label| name + label + ".") + "zone."
}

/// The zone of rows.
fn build(rows: &[Row]) -> Zone {
    let origin = parse_name("zone.").unwrap();
    let mut builder = Builder::new(&origin);
    let soa = [&b"\0\0"[..], &[0; 20]].concat();
    builder.add(&origin, rtype::SOA, 1, &soa).unwrap();
    builder.add(&origin, rtype::NS, 1, b"\x02ns\0").unwrap();
    for (name, rtype, data) in rows {
        let rdata = match data {
            Data::Address(last) => vec![192, 0, 2, *last],
            Data::Name(labels) => parse_name(&text(labels)).unwrap(),
        };
        builder.add(&parse_name(&text(name)).unwrap(), *rtype, 1, &rdata).unwrap();
    }
    builder.finish().unwrap()
}

/// The rows at a name.
fn rows_at<'r>(rows: &'r [Row], name: &[&str]) -> Vec<&'r Row> {
    rows.iter().filter(|row| row.0 == name).collect()
}

/// Whether a name exists: it or one below it has rows.
fn exists(rows: &[Row], name: &[&str]) -> bool {
    name.is_empty() || rows.iter().any(|row| row.0.starts_with(name))
}

/// The model: every rule by a walk over all rows.
fn model(rows: &[Row], name: &[&'static str], links: usize) -> Said {
    if links == 0 {
        return Said::Endless;
    }
    for depth in 1..=name.len() {
        if rows_at(rows, &name[..depth]).iter().any(|row| row.1 == rtype::NS) {
            return Said::Referral(depth);
        }
    }
    let mut found = rows_at(rows, name);
    if found.is_empty() {
        if exists(rows, name) {
            return Said::NoData;
        }
        let encloser = (0..name.len()).rev().find(|depth| exists(rows, &name[..*depth])).unwrap_or(0);
        let star: Vec<&str> = name[..encloser].iter().copied().chain(["*"]).collect();
        if !exists(rows, &star) {
            return Said::Missing;
        }
        found = rows_at(rows, &star);
    }
    if let Some((_, _, Data::Name(target))) = found.iter().find(|row| row.1 == rtype::CNAME) {
        return model(rows, &target.clone(), links - 1);
    }
    let mut data: Vec<u8> = found
        .iter()
        .filter_map(|row| match &row.2 {
            Data::Address(last) if row.1 == rtype::A => Some(*last),
            _ => None,
        })
        .collect();
    data.sort_unstable();
    data.dedup();
    if data.is_empty() { Said::NoData } else { Said::Data(data) }
}

/// What the zone says.
fn said(zone: &Zone, name: &[&str]) -> Said {
    let question = Question::new(&parse_name(&text(name)).unwrap(), rtype::A).unwrap();
    let mut sections = Sections::default();
    match zone.answer(&question, false, &mut sections) {
        Verdict::Data => {
            let answer = sections.records().iter().filter(|record| record.section == Section::Answer);
            let mut data: Vec<u8> = answer
                .filter(|record| record.rtype == rtype::A)
                .filter_map(|record| sections.rdata(record).last().copied())
                .collect();
            data.sort_unstable();
            Said::Data(data)
        }
        Verdict::NoData | Verdict::Empty => Said::NoData,
        Verdict::Missing => Said::Missing,
        Verdict::Referral => {
            let mut owner = [0; 255];
            let ns = sections.records().iter().find(|record| record.rtype == rtype::NS).unwrap();
            let length = sections.owner_name(ns, &question, &mut owner);
            let mut labels = 0;
            let mut rest = &owner[..length];
            while rest[0] > 0 {
                labels += 1;
                rest = &rest[1 + usize::from(rest[0])..];
            }
            Said::Referral(labels - 1)
        }
        Verdict::Endless => Said::Endless,
        verdict @ (Verdict::TooLong | Verdict::Outside(_)) => panic!("{verdict:?}"),
    }
}

/// Names of up to three labels out of few, wildcards among them.
fn name() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(
        prop_oneof![3 => Just("a"), 3 => Just("b"), 2 => Just("*"), 1 => Just("c")],
        0..4,
    )
}

/// Rows; a name has an alias, a cut or addresses.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        name(),
        prop_oneof![6 => Just(rtype::A), 2 => Just(rtype::CNAME), 1 => Just(rtype::NS), 1 => Just(rtype::PTR)],
        any::<u8>(),
        name(),
    );
    proptest::collection::vec(row, 0..8).prop_map(|rows| {
        let mut kept: Vec<Row> = Vec::new();
        for (name, rtype, last, target) in rows {
            let alias = kept.iter().any(|row| row.0 == name && row.1 == rtype::CNAME);
            let any = kept.iter().any(|row| row.0 == name);
            // Aliases stand alone; wildcards that are cuts, and cuts at the zone's own name, have no meaning.
            let odd = rtype == rtype::NS && (name.is_empty() || name.contains(&"*"));
            if alias || odd || rtype == rtype::CNAME && (any || name.is_empty()) {
                continue;
            }
            let data = if rtype == rtype::A { Data::Address(last) } else { Data::Name(target) };
            kept.push((name, rtype, data));
        }
        kept
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_looked_up_equals_what_the_model_says(rows in rows(), names in proptest::collection::vec(name(), 1..12)) {
        let zone = build(&rows);
        for name in &names {
            prop_assert_eq!(said(&zone, name), model(&rows, name, 10), "{} in {:?}", text(name), rows);
        }
    }
}
