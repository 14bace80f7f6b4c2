//! What kinds of replies there are, and lines that a reader of JSON reads.

use super::*;
use crate::chain::plan::Chain;
use crate::corefile::{NoImports, Token};
use crate::time::Tick;
use crate::wire::{Question, parse_name};

/// Something that was sent.
fn sent(rcode: u16, answers: bool, soa: bool, ns: bool) -> Sent {
    Sent { rcode: Some(Rcode(rcode)), flags: 0x8500, answers, soa, ns, size: 59, at: Tick(31_207), worker: 0 }
}

#[test]
fn replies_are_told_apart_as_coredns_does() {
    for (said, class, kind) in [
        (sent(0, true, false, false), "success", "NOERROR"),
        (sent(0, false, false, false), "success", "NOERROR"),
        (sent(0, false, false, true), "success", "DELEGATION"),
        (sent(0, false, true, true), "denial", "NODATA"),
        (sent(3, false, true, false), "denial", "NXDOMAIN"),
        (sent(2, false, false, false), "error", "SERVERERROR"),
        (sent(4, false, false, false), "error", "SERVERERROR"),
        (sent(5, false, false, false), "error", "OTHERERROR"),
    ] {
        assert_eq!(Kind::of(&said).texts(), (class, kind));
    }
}

/// Labels as a Corefile has them.
fn labels(text: &str) -> Vec<Token> {
    let spec = crate::corefile::parse("Corefile", &format!(". {{\n word {text}\n}}\n"), &NoImports).unwrap();
    spec.blocks[0].directives[0].args.clone()
}

#[test]
fn a_line_of_json_is_read_by_a_reader_of_json_whatever_the_name_holds() {
    let chain = Chain::new(Vec::new(), vec![Zone::parse(".").unwrap()], Vec::new(), false);
    let json = Json::new(&labels("log/class /log/type none/such")).unwrap();
    let mut asked = Asked::default();
    asked.client.addr = "[fd00::7]:4711".parse().unwrap();
    asked.client.size = 43;
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..200 {
        let mut wire = vec![9];
        wire.extend((0..9).map(|_| rng.u8(..)));
        wire.push(0);
        asked.question = Question::new(&wire, 28).unwrap();
        let line = json.write(&asked, &sent(0, true, false, false), &chain);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(read["name"], show_name(asked.question.lower()), "{line}");
        assert_eq!((&read["type"], &read["port"]), (&"AAAA".into(), &4711.into()), "{line}");
        assert_eq!(read["metadata"], serde_json::json!({"log/class": "success", "log/type": "NOERROR"}));
    }
    asked.question = Question::new(&parse_name("db.shop.").unwrap(), 1).unwrap();
    let bare = Json::new(&[]).unwrap();
    assert_eq!(
        bare.write(&asked, &sent(0, true, false, false), &chain),
        "{\"remote\":\"fd00::7\",\"port\":4711,\"proto\":\"udp\",\"id\":0,\"opcode\":0,\"type\":\"A\",\"class\":\"IN\",\
         \"name\":\"db.shop.\",\"size\":43,\"do\":false,\"bufsize\":512,\"rcode\":\"NOERROR\",\"rflags\":\"qr,aa,rd\",\
         \"rsize\":59,\"duration\":0.000031207}"
    );
}
