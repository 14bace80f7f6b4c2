//! Texts of zone files, and what is wrong in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::read::{INCLUDED, read_within};
use super::super::{Fault, Files, Sender, Verdict, Zone, read};
use crate::wire::{Question, Section, Sections, parse_name, rtype, sections_to_records};

/// Files in memory.
#[derive(Default)]
pub(super) struct Memory(pub(super) BTreeMap<&'static str, &'static str>);

impl Files for Memory {
    fn open(&mut self, path: &str, _: &str) -> Result<(String, Vec<u8>), String> {
        match self.0.get(path) {
            Some(text) => Ok((path.to_owned(), text.as_bytes().to_vec())),
            None => Err("there is no such file".to_owned()),
        }
    }
}

/// The zone `example.org.` of a text.
pub(super) fn zone(text: &str) -> Result<Zone, Fault> {
    let origin = parse_name("example.org.").unwrap();
    read("db", text.as_bytes(), &origin, &mut Memory::default()).map(|(zone, _)| zone)
}

/// A section of a draft as text, as hickory reads it.
fn show(sections: &Sections, question: &Question, section: Section) -> Vec<String> {
    sections_to_records(sections, question, section)
        .unwrap()
        .iter()
        .map(|record| format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data))
        .collect()
}

/// What a zone says: the verdict, then the sections, `|` between them.
pub(super) fn say(zone: &Zone, name: &str, qtype: u16, dnssec_ok: bool) -> String {
    let question = Question::new(&parse_name(name).unwrap(), qtype).unwrap();
    let mut sections = Sections::default();
    let verdict = match zone.answer(&question, dnssec_ok, &mut sections) {
        Verdict::Outside(next) => format!("Outside {next:?}"),
        verdict => format!("{verdict:?}"),
    };
    let parts = [Section::Answer, Section::Authority, Section::Additional];
    let parts: Vec<String> =
        parts.iter().map(|section| show(&sections, &question, *section).join("; ")).collect();
    format!("{verdict}: {}", parts.join(" | "))
}

/// All records of a transfer, as text.
pub(super) fn sent(zone: Zone, room: usize) -> Vec<String> {
    let mut sender = Sender::new(Arc::new(zone), None);
    let mut all = Vec::new();
    let question = Question::new(&parse_name("example.org.").unwrap(), rtype::AXFR).unwrap();
    loop {
        let mut draft = Sections::default();
        let more = sender.fill(&mut draft, room);
        all.extend(show(&draft, &question, Section::Answer));
        if !more {
            return all;
        }
    }
}

/// A zone with everything that makes answers differ.
const EXAMPLE: &str = "\
$TTL 1h
@ IN SOA ns.example.org. hostmaster ( 7 ; serial
      2h 30m 2w 300 )
  NS ns
  NS ns.other.test.
  MX 10 mail
ns A 192.0.2.53
   AAAA 2001:db8::53
mail 60 A 192.0.2.25
Www CNAME web
web A 192.0.2.80
 A 192.0.2.81
out CNAME www.other.test.
dangling CNAME nothing
a.b.c TXT \"one two\" three \"semi;colon\" \\\"quoted\\\"
*.wild A 192.0.2.9
ent.deep.wild A 192.0.2.10
sub NS ns.sub
sub NS ns.elsewhere.test.
sub DS 1 8 2 00ff
ns.sub A 192.0.2.99
moved DNAME target
x.target A 192.0.2.44
far DNAME other.test.
loop1 CNAME loop2
loop2 CNAME loop1
_sip._tcp SRV 0 5 5060 mail
svc HTTPS 1 web alpn=h2,h3
into CNAME deep.sub
";

#[test]
fn data_come_with_the_name_servers_and_addresses_of_targets() {
    let zone = zone(EXAMPLE).unwrap();
    let ns = "example.org. 3600 NS ns.example.org.; example.org. 3600 NS ns.other.test.";
    assert_eq!(
        say(&zone, "WEB.example.org.", rtype::A, false),
        format!("Data: WEB.example.org. 3600 A 192.0.2.80; WEB.example.org. 3600 A 192.0.2.81 | {ns} | ")
    );
    assert_eq!(
        say(&zone, "example.org.", rtype::MX, false),
        format!("Data: example.org. 3600 MX 10 mail.example.org. | {ns} | mail.example.org. 60 A 192.0.2.25")
    );
    assert_eq!(
        say(&zone, "example.org.", rtype::NS, false),
        format!("Data: {ns} |  | ns.example.org. 3600 A 192.0.2.53; ns.example.org. 3600 AAAA 2001:db8::53")
    );
    assert!(
        say(&zone, "_sip._tcp.example.org.", rtype::SRV, false)
            .ends_with("| mail.example.org. 60 A 192.0.2.25")
    );
    assert!(
        say(&zone, "svc.example.org.", rtype::HTTPS, false).contains("HTTPS 1 web.example.org. alpn=h2,h3")
    );
    assert!(say(&zone, "a.b.c.example.org.", rtype::TXT, false).contains("one two"));
}

#[test]
fn names_without_data_are_told_from_names_that_are_not_there() {
    let zone = zone(EXAMPLE).unwrap();
    let soa = "example.org. 3600 SOA ns.example.org. hostmaster.example.org. 7 7200 1800 1209600 300";
    assert_eq!(say(&zone, "web.example.org.", rtype::AAAA, false), format!("NoData:  | {soa} | "));
    assert_eq!(say(&zone, "b.c.example.org.", rtype::A, false), format!("Empty:  | {soa} | "));
    assert_eq!(say(&zone, "nothing.example.org.", rtype::A, false), format!("Missing:  | {soa} | "));
    assert_eq!(say(&zone, "x.web.example.org.", rtype::A, false), format!("Missing:  | {soa} | "));
    // A wildcard stands for names below the closest name that exists, and for no name that exists (RFC 4592 §2.2.1).
    assert!(
        say(&zone, "any.wild.example.org.", rtype::A, false)
            .starts_with("Data: any.wild.example.org. 3600 A")
    );
    assert!(say(&zone, "very.any.wild.example.org.", rtype::A, false).starts_with("Data: very.any"));
    assert!(say(&zone, "any.wild.example.org.", rtype::TXT, false).starts_with("NoData: "));
    assert!(say(&zone, "deep.wild.example.org.", rtype::A, false).starts_with("Empty: "));
    assert!(say(&zone, "x.deep.wild.example.org.", rtype::A, false).starts_with("Missing: "));
}

#[test]
fn aliases_are_followed_inside_and_left_open_outside() {
    let zone = zone(EXAMPLE).unwrap();
    let web = say(&zone, "www.example.org.", rtype::A, false);
    assert!(
        web.starts_with(
            "Data: www.example.org. 3600 CNAME web.example.org.; web.example.org. 3600 A 192.0.2.80"
        ),
        "{web}"
    );
    assert!(
        say(&zone, "www.example.org.", rtype::CNAME, false)
            .starts_with("Data: www.example.org. 3600 CNAME web")
    );
    assert!(
        say(&zone, "www.example.org.", rtype::AAAA, false).starts_with("NoData: www.example.org. 3600 CNAME")
    );
    let dangling = say(&zone, "dangling.example.org.", rtype::A, false);
    assert!(dangling.starts_with("Missing: dangling.example.org. 3600 CNAME nothing"), "{dangling}");
    assert_eq!(
        say(&zone, "out.example.org.", rtype::A, false),
        "Outside www.other.test. type 1 class 1: out.example.org. 3600 CNAME www.other.test. |  | "
    );
    assert!(say(&zone, "loop1.example.org.", rtype::A, false).starts_with("Endless: "));
    let moved = say(&zone, "x.moved.example.org.", rtype::A, false);
    assert!(
        moved.starts_with(
            "Data: moved.example.org. 3600 DNAME BnRhcmdldAdleGFtcGxlA29yZwA=; x.moved.example.org. 3600 CNAME \
             x.target.example.org.; x.target.example.org. 3600 A 192.0.2.44"
        ),
        "{moved}"
    );
    assert!(
        say(&zone, "x.far.example.org.", rtype::A, false)
            .starts_with("Outside x.other.test. type 1 class 1: far")
    );
    assert!(say(&zone, "moved.example.org.", rtype::A, false).starts_with("NoData: "));
    let long = format!("{0}.{0}.{0}.moved.example.org.", "a".repeat(63));
    assert!(say(&zone, &long, rtype::A, false).starts_with("Missing: "));
    let longer = format!("{0}.{0}.{0}.{1}.moved.example.org.", "a".repeat(63), "b".repeat(43));
    assert!(say(&zone, &longer, rtype::A, false).starts_with("TooLong: "));
}

#[test]
fn beyond_a_cut_there_are_referrals_and_at_it_the_ds() {
    let zone = zone(EXAMPLE).unwrap();
    let referral = "sub.example.org. 3600 NS ns.sub.example.org.; sub.example.org. 3600 NS ns.elsewhere.test. | \
                    ns.sub.example.org. 3600 A 192.0.2.99";
    for name in ["sub.example.org.", "x.y.sub.example.org.", "ns.sub.example.org."] {
        assert_eq!(say(&zone, name, rtype::A, false), format!("Referral:  | {referral}"));
    }
    assert_eq!(say(&zone, "x.sub.example.org.", rtype::DS, false), format!("Referral:  | {referral}"));
    assert!(say(&zone, "sub.example.org.", rtype::DS, false).starts_with("Data: sub.example.org. 3600 DS "));
    let into = say(&zone, "into.example.org.", rtype::A, false);
    assert!(into.starts_with("Referral: into.example.org. 3600 CNAME deep.sub.example.org. | sub"), "{into}");
}

#[test]
fn signatures_and_proofs_go_along_where_they_are_wanted() {
    let sig = |covered: &str| {
        format!("RRSIG {covered} 8 2 3600 20300101000000 20200101000000 1 example.org. AAAA\n")
    };
    let text = format!(
        "@ 60 SOA a b 1 2 3 4 5\n@ {}@ NS a\n@ {}@ NSEC m SOA NS RRSIG NSEC\n@ {}m A 192.0.2.1\nm {}m NSEC \
         *.w A RRSIG NSEC\nm {}*.w TXT x\n*.w {}*.w NSEC sub TXT RRSIG NSEC\n*.w {}sub NS a.test.\nsub NSEC @ NS RRSIG \
         NSEC\nsub {}*.c CNAME m\n*.c {}",
        sig("SOA"),
        sig("NS"),
        sig("NSEC"),
        sig("A"),
        sig("NSEC"),
        sig("TXT"),
        sig("NSEC"),
        sig("NSEC"),
        sig("CNAME")
    );
    let zone = zone(&text).unwrap();
    let types = |text: String| -> String {
        let mut types = String::new();
        for part in text.split(['|', ';', ':']).skip(1) {
            types.push_str(part.split_whitespace().nth(2).unwrap_or("-"));
            types.push(' ');
        }
        types
    };
    let ask = |name: &str, qtype| types(say(&zone, name, qtype, true));
    assert_eq!(ask("m.example.org.", rtype::A), "A RRSIG NS RRSIG - ");
    assert_eq!(types(say(&zone, "m.example.org.", rtype::A, false)), "A NS - ");
    assert_eq!(ask("m.example.org.", rtype::TXT), "- SOA RRSIG NSEC RRSIG - ");
    assert_eq!(ask("n.example.org.", rtype::TXT), "- SOA RRSIG NSEC RRSIG NSEC RRSIG - ");
    assert_eq!(ask("x.w.example.org.", rtype::TXT), "TXT RRSIG NS RRSIG NSEC RRSIG - ");
    assert_eq!(ask("x.c.example.org.", rtype::A), "CNAME RRSIG A RRSIG NS RRSIG NSEC RRSIG - ");
    assert_eq!(ask("x.c.example.org.", rtype::MX), "CNAME RRSIG SOA RRSIG NSEC RRSIG NSEC RRSIG - ");
    assert_eq!(ask("w.example.org.", rtype::TXT), "- SOA RRSIG NSEC RRSIG - ");
    assert_eq!(ask("x.sub.example.org.", rtype::TXT), "- NS NSEC RRSIG - ");
}

#[test]
fn every_form_of_a_zone_file_is_read() {
    let origin = parse_name("example.org.").unwrap();
    let mut files = Memory::default();
    files.0.insert("more", "in A 192.0.2.7\n$ORIGIN deeper\nx A 192.0.2.8\n");
    let text = "\u{feff}$ORIGIN org.\nexample 5 IN SOA a.example b.example 1 2 3 4 5\r\n$ORIGIN example.org.\n\
                first A 192.0.2.1\n$TTL 1m\nIn 7 IN A 192.0.2.2\nlast IN 8 a 192.0.2.3\n\
                $INCLUDE more sub\n A 192.0.2.4\n$GENERATE 1-5/2 h${10,3,x} A 10.0.0.$\n\
                $GENERATE 1-2 g$ 9 IN TXT \"$$ ${0,2}\"\nraw TYPE65280 \\# 3 0A0b0c\n\
                has\\046dot A 192.0.2.5\ncaa CAA 0 issue \"ca.test\"\nouter.test. A 192.0.2.6\n\
                n NAPTR 1 2 \"S\" \"SIP+D2U\" \"\" _sip._udp\n";
    let (zone, passed) = read("db", text.as_bytes(), &origin, &mut files).unwrap();
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0].to_string(), "db:15: outer.test. lies outside of the zone and is left out");
    let mut lines = sent(zone, 1);
    assert_eq!(lines[0], "example.org. 5 SOA a.example.org. b.example.org. 1 2 3 4 5");
    assert_eq!(lines.first(), lines.last());
    lines.pop();
    lines.sort();
    assert_eq!(
        lines,
        [
            "caa.example.org. 60 CAA 0 issue \"ca.test\"",
            "example.org. 5 SOA a.example.org. b.example.org. 1 2 3 4 5",
            "first.example.org. 5 A 192.0.2.1",
            "g1.example.org. 9 TXT $ 01",
            "g2.example.org. 9 TXT $ 02",
            "h00b.example.org. 60 A 10.0.0.1",
            "h00d.example.org. 60 A 10.0.0.3",
            "h00f.example.org. 60 A 10.0.0.5",
            "has\\.dot.example.org. 60 A 192.0.2.5",
            "in.example.org. 7 A 192.0.2.2",
            "in.sub.example.org. 60 A 192.0.2.7",
            "last.example.org. 60 A 192.0.2.4",
            "last.example.org. 8 A 192.0.2.3",
            "n.example.org. 60 NAPTR 1 2 \"S\" \"SIP+D2U\" \"\" _sip._udp.example.org.",
            "raw.example.org. 60 Unknown CgsM",
            "x.deeper.sub.example.org. 60 A 192.0.2.8",
        ]
    );
}

#[test]
fn what_generate_makes_is_bounded_for_a_line_and_for_a_zone_with_what_it_includes() {
    let origin = parse_name("example.org.").unwrap();
    let within = |text: &str, more: &'static str| {
        let mut files = Memory::default();
        files.0.insert("more", more);
        let text = format!("@ SOA a b 1 2 3 4 5\n{text}");
        read_within(10, ("db", text.as_bytes()), &origin, &mut files).map(|(zone, _)| zone.len())
    };
    let told = |read: Result<usize, Fault>| read.map_err(|fault| fault.to_string());
    let too_many = |place: &str| Err(format!("{place}: $GENERATE makes more than 10 records of this zone"));
    let (six, four) = ("$GENERATE 1-12/2 a$ A 10.0.0.$\n", "$GENERATE 1-4 b$ A 10.0.0.$\n");
    assert_eq!(told(within(&format!("{six}{four}"), "")), Ok(11));
    assert_eq!(told(within(&format!("{six}$INCLUDE more\n"), four)), Ok(11));
    assert_eq!(
        told(within(&format!("{four}{six}c A 10.0.0.1\n$GENERATE 7-7 d$ A 10.0.0.$\n"), "")),
        too_many("db:5")
    );
    assert_eq!(
        told(within(&format!("{six}$INCLUDE more\n"), "\n$GENERATE 0-4 b$ A 10.0.0.$\n")),
        too_many("more:2")
    );
    // A line that would make too many makes none: nobody waits for it.
    let line =
        |last: u64| zone(&format!("@ SOA a b 1 2 3 4 5\n$GENERATE 0-{last}/4294967295 a A 192.0.2.1\n"));
    assert!(line(4_294_967_295).is_ok());
    let fault = zone("@ SOA a b 1 2 3 4 5\n$GENERATE 0-65536 a$ A 192.0.2.1\n").unwrap_err();
    assert_eq!(fault.to_string(), "db:2: `0-65536` is no range as in 1-10 or 0-254/2");
}

#[test]
fn the_number_of_files_that_a_zone_includes_is_bounded_however_they_stand_together() {
    let origin = parse_name("example.org.").unwrap();
    let within = |text: String, more: &'static str| {
        let mut files = Memory::default();
        files.0.insert("more", more);
        files.0.insert("many", "$INCLUDE more\n$INCLUDE more\n$INCLUDE more\n");
        read("db", format!("@ SOA a b 1 2 3 4 5\n{text}").as_bytes(), &origin, &mut files)
            .map(|(zone, _)| zone.len())
            .map_err(|fault| fault.to_string())
    };
    let a = "a A 192.0.2.1\n";
    assert_eq!(within("$INCLUDE more\n".repeat(INCLUDED), a), Ok(2));
    let too_many = |place: &str| Err(format!("{place}: this zone includes more than {INCLUDED} files"));
    assert_eq!(within("$INCLUDE more\n".repeat(INCLUDED + 1), a), too_many("db:1002"));
    // Four files each, whoever includes them.
    assert_eq!(within("$INCLUDE many\n".repeat(INCLUDED / 4), a), Ok(2));
    assert_eq!(within("$INCLUDE many\n".repeat(INCLUDED / 4 + 1), a), too_many("db:252"));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let soa = "@ SOA a b 1 2 3 4 5\n";
    for (text, why) in [
        ("", "db:1: the zone has no SOA record at its own name"),
        ("www A 192.0.2.1\n", "db:2: the zone has no SOA record at its own name"),
        (" A 192.0.2.1\n", "db:1: no owner stands here, and none before it"),
        ("@ SOA a b 1 2 3 4 5\n@ SOA a b 2 2 3 4 5\n", "db:2: the zone has two SOA records"),
        ("x SOA a b 1 2 3 4 5\n", "db:1: an SOA record stands below the name of the zone"),
        ("@ SOA a b (1 2 3 4 5\n", "db:2: a parenthesis is not closed"),
        ("@ SOA a b 1 2 3 4 5)\n", "db:1: a parenthesis is closed that was not opened"),
        ("@ SOA a b 1 2 3\n", "db:1: SOA: a word is missing at the end"),
        ("@ TXT \"x\n\n", "db:4: a quote is not closed"),
        ("\n\nx A 1.2.3\n", "db:3: A: `1.2.3` is no IPv4 address"),
        ("x A 192.0.2.1 192.0.2.2\n", "db:1: A: `192.0.2.2` is one word too many"),
        ("x BOGUS y\n", "db:1: `BOGUS` is no type, TTL or class"),
        ("x CH A 192.0.2.1\n", "db:1: class CH is not served, only IN"),
        ("x 99999999999 A 192.0.2.1\n", "db:1: `99999999999` is no TTL"),
        ("x..y A 192.0.2.1\n", "db:1: `x..y` is no name"),
        ("$WHAT x\n", "db:1: `$WHAT` is no directive"),
        ("$INCLUDE x\n", "db:1: x: there is no such file"),
        ("$GENERATE 5-1 a A 192.0.2.1\n", "db:1: `5-1` is no range as in 1-10 or 0-254/2"),
        ("x NSEC3 1 0 0 - AAAA A\n", "db:1: zones with NSEC3 are not served: sign with NSEC"),
        ("x HIP 2 a b\n", "db:1: the text form of HIP is not known: write its bytes, as in `\\# 2 0aff`"),
        ("x TYPE1 \\# 3 0a00\n", "db:1: `\\#` says 3 bytes, and 2 stand behind it"),
        ("x TXT \\3\n", "db:1: TXT: three digits up to 255 must stand behind a backslash"),
    ] {
        let text = if text.contains("SOA") || text.is_empty() || text.starts_with("www") {
            text.to_owned()
        } else {
            format!("{text}{soa}")
        };
        match zone(&text) {
            Ok(_) => panic!("{text:?} is read"),
            Err(fault) => assert_eq!(fault.to_string(), why),
        }
    }
}

#[test]
fn a_transfer_in_pieces_is_the_whole_zone_and_one_for_who_has_it_is_the_soa() {
    let whole = sent(zone(EXAMPLE).unwrap(), usize::MAX);
    for room in [1, 100, 1000] {
        assert_eq!(sent(zone(EXAMPLE).unwrap(), room), whole);
    }
    assert_eq!(whole.len(), 28);
    let zone = Arc::new(zone(EXAMPLE).unwrap());
    for (known, count) in [(Some(7), 1), (Some(6), 28), (Some(0), 28), (None, 28)] {
        let mut draft = Sections::default();
        assert!(!Sender::new(zone.clone(), known).fill(&mut draft, usize::MAX));
        assert_eq!(draft.records().len(), count, "{known:?}");
    }
}

#[test]
fn bytes_of_a_parameter_that_are_no_text_are_written_as_escapes() {
    let with = |alpn: &[u8]| {
        let text = [b"@ 60 SOA a b 1 2 3 4 5\nx HTTPS 1 . alpn=h2,".as_slice(), alpn, b"\n"].concat();
        read("db", &text, &parse_name("example.org.").unwrap(), &mut Memory::default()).map(drop)
    };
    assert_eq!(with(b"\xff3").unwrap_err().to_string(), "db:2: HTTPS: `alpn=h2,\u{fffd}3` is not UTF-8 text");
    assert_eq!(with(b"\\2553"), Ok(()));
}

proptest::proptest! {
    #[test]
    fn no_text_and_no_change_of_a_sound_one_is_more_than_an_error(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        changes in proptest::collection::vec((0..EXAMPLE.len(), proptest::sample::select(b"\\\"();$ \n\t.@a1*\xff".to_vec())), 0..6),
    ) {
        let origin = parse_name("example.org.").unwrap();
        let mut files = Memory::default();
        let _ = read("db", &bytes, &origin, &mut files);
        let mut text = EXAMPLE.as_bytes().to_vec();
        for (at, byte) in changes {
            text[at] = byte;
        }
        if let Ok((zone, _)) = read("db", &text, &origin, &mut files) {
            for name in ["web.example.org.", "x.y.example.org.", "x.moved.example.org.", "example.org."] {
                for qtype in [rtype::A, rtype::MX, rtype::NS, rtype::DS] {
                    say(&zone, name, qtype, true);
                }
            }
            sent(zone, 100);
        }
    }
}
