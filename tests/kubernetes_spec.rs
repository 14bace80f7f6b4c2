//! The rules for cluster names, section by section: each row of each table is asked over UDP and TCP, on IPv4 and IPv6,
//! of a server with real sockets, and judged by hickory-proto.
//!
//! Expectations come from the rules (docs/behaviour.md), never from the code. `tests/hickory_server.rs` runs the tables of
//! sections B to H again, through the embedding.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod harness;

#[path = "kubernetes_spec/a_message.rs"]
mod a_message;
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
#[path = "kubernetes_spec/f_outside.rs"]
mod f_outside;
#[path = "kubernetes_spec/g_pods.rs"]
mod g_pods;
#[path = "kubernetes_spec/h_reverse.rs"]
mod h_reverse;
#[path = "kubernetes_spec/i_clusterset.rs"]
mod i_clusterset;
#[path = "kubernetes_spec/i_options.rs"]
mod i_options;
#[path = "kubernetes_spec/i_zonal.rs"]
mod i_zonal;
#[path = "kubernetes_spec/j_external.rs"]
mod j_external;
#[path = "kubernetes_spec/j_hosts.rs"]
mod j_hosts;
#[path = "kubernetes_spec/k_autopath.rs"]
mod k_autopath;
#[path = "kubernetes_spec/table.rs"]
mod table;

use harness::{Ask, Client, corefile, expand, start};
use signpost::app::Running;
use table::{Row, Table};

/// Asks all rows of a table.
fn check(table: &Table) {
    check_rows(&start(&corefile(table.zones, table.options)), table.ttl(), table.rows);
}

/// Asks rows of a running server, over each transport and address; all that fail are shown.
fn check_rows(running: &Running, ttl: u32, rows: &[Row]) {
    let mut wrong = String::new();
    let addresses = running.addresses();
    assert_eq!(addresses.len(), 2, "127.0.0.1 and ::1");
    let mut clients = Client::all(&addresses);
    for (rule, question, short) in rows {
        let ask = Ask::parse(question);
        let want = expand(short, &ask, ttl);
        for client in &mut clients {
            let got = client.ask(&ask);
            if got != want {
                wrong += &format!(
                    "{rule}  {question}  ({:?}, {})\nwant {}got  {}\n",
                    client.via,
                    client.to.ip(),
                    want.replace('\n', "\n     "),
                    got.replace('\n', "\n     ")
                );
                // The other transports would nearly always only repeat it.
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
