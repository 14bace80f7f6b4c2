//! One verdict on every transport (W68 to W70): the tables of the specification over TLS, HTTPS, QUIC and HTTP/3, what
//! hostile clients of these get, and that nobody else notices. `tests/wire.rs` sends its rows over all of them too.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod encrypted;
mod harness;

#[path = "kubernetes_spec/b_grammar.rs"]
mod b_grammar;
#[path = "kubernetes_spec/c_apex.rs"]
mod c_apex;
#[path = "kubernetes_spec/d_cluster_ip.rs"]
mod d_cluster_ip;
#[path = "kubernetes_spec/e_headless.rs"]
mod e_headless;
#[path = "kubernetes_spec/f_external_name.rs"]
mod f_external_name;
#[path = "kubernetes_spec/g_pods.rs"]
mod g_pods;
#[path = "kubernetes_spec/h_reverse.rs"]
mod h_reverse;
#[path = "kubernetes_spec/table.rs"]
mod table;

#[path = "transports/access.rs"]
mod access;
#[path = "transports/certificates.rs"]
mod certificates;
#[path = "transports/counts.rs"]
mod counts;
#[path = "transports/hostile.rs"]
mod hostile;
#[path = "transports/http.rs"]
mod http;
#[path = "transports/kdig.rs"]
mod kdig;
#[path = "transports/proxies.rs"]
mod proxies;
#[cfg(feature = "quic")]
#[path = "transports/quic.rs"]
mod quic;
#[path = "transports/reload.rs"]
mod reload;
#[path = "transports/rig.rs"]
mod rig;
#[path = "transports/walks.rs"]
mod walks;

use encrypted::{Asker, Certificate, KEYS, Over};
use harness::{Ask, Client, block, expand, fixtures, start};
use table::Table;

#[test]
fn every_id_comes_back_with_the_reply_to_its_question() {
    let certificate = Certificate::new();
    let key = format!(". {KEYS}");
    let running = start(&block(&key, "cluster.local", &fixtures("cluster"), &[], &[&certificate.line()]));
    let ask = Ask::parse("no.shop.svc.Z A");
    let want = expand("NX", &ask, 5);
    for over in Over::all() {
        let mut asker = Asker::new(over, &running, &certificate);
        for id in [0, 1, 0x7a7b, u16::MAX] {
            let query = ask.bytes(id);
            let reply = asker.ask(&query).unwrap();
            assert_eq!(reply.get(..2), Some(&id.to_be_bytes()[..]), "{over:?}");
            assert_eq!(harness::text(&reply, &query), want, "{over:?} {id}");
        }
    }
}

/// Asks all rows of a table over each encrypted transport, and in the clear; all that fail are shown.
fn check(table: &Table) {
    let certificate = Certificate::new();
    let key = format!(". {KEYS}");
    let running =
        start(&block(&key, table.zones, &fixtures("cluster"), table.options, &[&certificate.line()]));
    let mut askers: Vec<Asker> =
        Over::all().into_iter().map(|over| Asker::new(over, &running, &certificate)).collect();
    let mut clear = Client::new(harness::Via::Tcp, running.addresses()[0]);
    let mut wrong = String::new();
    for (rule, question, short) in table.rows {
        let ask = Ask::parse(question);
        let want = expand(short, &ask, table.ttl());
        assert_eq!(clear.ask(&ask), want, "{rule}  {question}");
        for asker in &mut askers {
            let query = ask.bytes(fastrand::u16(..));
            let got = asker.ask(&query).map_or_else(
                || "no reply".to_owned(),
                |reply| {
                    assert_eq!(reply.get(..2), query.get(..2), "{question}: the id");
                    harness::text(&reply, &query)
                },
            );
            if got != want {
                wrong += &format!("{rule}  {question}  ({:?})\nwant {want}got  {got}\n", asker.over);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
