//! Orders of sections, with and without weights.

use std::net::IpAddr;

use super::super::network::Network;
use super::order::{address, apart, prefer};
use super::weights::{Weights, WeightsSpec};
use crate::wire::{Owner, Question, Section, Sections, parse_name, rtype};

/// A question for `www.example.com.`
fn question() -> Question {
    Question::new(&parse_name("WWW.example.com.").unwrap(), rtype::A).unwrap()
}

/// An answer of these records: an address, or a type by its first letter.
fn sections(records: &str) -> Sections {
    let mut sections = Sections::default();
    for word in records.split_whitespace() {
        let kind = match word {
            "CNAME" => rtype::CNAME,
            "MX" => rtype::MX,
            "TXT" => rtype::TXT,
            _ => {
                match word.parse().unwrap() {
                    IpAddr::V4(v4) => {
                        sections.push_address(Section::Answer, Owner::Question, 1, &v4.octets())
                    }
                    IpAddr::V6(v6) => {
                        sections.push_address(Section::Answer, Owner::Question, 1, &v6.octets())
                    }
                }
                continue;
            }
        };
        sections.push(Section::Answer, Owner::Question, kind, 1, |rdata| rdata.bytes(&[0]));
    }
    sections
}

/// The records of an answer.
fn show(sections: &Sections) -> String {
    let show = |record: &crate::wire::Record| match record.rtype {
        rtype::CNAME => "CNAME".to_owned(),
        rtype::MX => "MX".to_owned(),
        rtype::TXT => "TXT".to_owned(),
        _ => address(sections, record).unwrap().to_string(),
    };
    sections.records().iter().map(show).collect::<Vec<_>>().join(" ")
}

/// Weights of a file.
fn weights(text: &str) -> Result<Weights, String> {
    let weights = Weights::new(WeightsSpec { path: "weights".into(), reload: Default::default() });
    weights.replace(text).map_err(|fault| fault.to_string())?;
    Ok(weights)
}

#[test]
fn preferred_networks_come_first_in_their_order_and_nothing_else_moves() {
    let networks: Vec<Network> =
        ["2001:db8::/32", "10.9.20.0/24", "10.9.30.0/24"].map(|text| Network::parse(text).unwrap()).to_vec();
    let mut answer = sections(
        "10.9.30.1 10.9.20.5 192.168.1.2 TXT 10.10.0.1 MX 10.9.20.3 172.16.0.1 2001:db8::1 fd00::1 CNAME",
    );
    let all = 0..answer.records().len();
    prefer(&mut answer, all, &networks);
    assert_eq!(
        show(&answer),
        "CNAME 2001:db8::1 10.9.20.5 10.9.20.3 10.9.30.1 192.168.1.2 10.10.0.1 172.16.0.1 fd00::1 MX TXT"
    );
}

#[test]
fn kinds_of_records_stand_apart_only_where_there_are_addresses() {
    let mut answer = sections("MX 10.0.0.1 TXT 10.0.0.2 CNAME");
    assert_eq!(apart(&mut answer, 0..5), Some(2..4));
    assert_eq!(show(&answer), "CNAME TXT 10.0.0.1 10.0.0.2 MX");
    let mut none = sections("MX TXT CNAME");
    assert_eq!(apart(&mut none, 0..3), None);
    assert_eq!(show(&none), "MX TXT CNAME");
}

#[test]
fn an_address_is_drawn_as_often_as_it_weighs() {
    let weights = weights(
        "# a comment\n\nwww.example.com\n100.64.1.1 3\n100.64.1.3 2\n  other.example.com.\n100.64.1.2 200\n",
    )
    .unwrap();
    let answer = sections("100.64.1.1 100.64.1.2 100.64.1.3");
    let mut rng = fastrand::Rng::with_seed(11);
    let mut drawn = [0_u32; 3];
    for _ in 0..60_000 {
        drawn[weights.draw(&answer, 0..3, &question(), &mut rng).unwrap()] += 1;
    }
    // 3 : 1 : 2, the second one without a weight for this name.
    for (count, expected) in drawn.into_iter().zip([30_000, 10_000, 20_000_u32]) {
        assert!(count.abs_diff(expected) < 1_000, "{drawn:?}");
    }
}

#[test]
fn weights_are_found_by_the_owner_of_each_record() {
    let weights = weights("target.example.com.\n10.0.0.1 255\n").unwrap();
    let mut answer = Sections::default();
    let target = answer.store_name(&parse_name("Target.Example.com.").unwrap());
    answer.push_address(Section::Answer, Owner::Question, 1, &[10, 0, 0, 2]);
    answer.push_address(Section::Answer, target, 1, &[10, 0, 0, 1]);
    let mut rng = fastrand::Rng::with_seed(2);
    let second = (0..1_000).filter(|_| weights.draw(&answer, 0..2, &question(), &mut rng) == Some(1)).count();
    assert!(second > 980, "{second}");
}

#[test]
fn a_file_with_a_line_that_is_none_is_no_file_of_weights() {
    for (text, fault) in [
        ("10.0.0.1 3\n", "weights line 1: an address stands before the first name"),
        ("a.test\n10.0.0.1\n", "weights line 2: the address `10.0.0.1` has no weight"),
        ("a.test\n\n10.0.0.1 0\n", "weights line 3: the weight `0` is not a number from 1 to 255"),
        ("a.test\n10.0.0.1 256\n", "weights line 2: the weight `256` is not a number from 1 to 255"),
        ("a.test\n10.0.0 1\n", "weights line 2: `10.0.0` is not an address"),
        ("a.test\n10.0.0.1 1 2\n", "weights line 2: neither a name, nor an address and its weight"),
        ("a..test\n", "weights line 1: `a..test` is not a name: a label is empty"),
    ] {
        assert_eq!(weights(text).unwrap_err(), fault);
    }
}
