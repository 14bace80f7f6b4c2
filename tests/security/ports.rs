//! What is listened on, in a network of the test's own: what the page says for the words of the Corefile, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::page::table;

/// The binary, its Corefile, and the listening sockets once it serves: port, protocol and whether only loopback is.
const SCRIPT: &str = "
    ip link set lo up
    \"$BIN\" -conf \"$DIR/Corefile\" >\"$DIR/out\" 2>&1 &
    server=$!
    for try in $(seq 400); do
        grep -q '^signpost-' \"$DIR/out\" && break
        kill -0 $server || break
        sleep 0.05
    done
    for file in tcp tcp6 udp udp6; do sed \"s/^/$file /\" /proc/net/$file; done
    kill $server; wait $server; echo ended with $?
    sed 's/^/said: /' \"$DIR/out\"
";

/// A listening socket: port, `UDP` or `TCP`, whether only this machine reaches it.
type Listening = (u16, String, bool);

/// Serves a Corefile in a folder; `None` where networks can't be made here.
fn listening(dir: &Path, corefile: &str) -> Option<BTreeSet<Listening>> {
    let tried = Command::new("unshare").args(["--net", "sh", "-c", "ip link set lo up"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        println!("not run: it needs root, unshare and ip");
        return None;
    }
    std::fs::write(dir.join("Corefile"), corefile).unwrap();
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", SCRIPT])
        .env("BIN", env!("CARGO_BIN_EXE_signpost"))
        .env("DIR", dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("ended with 0"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Some(said.lines().filter_map(socket).collect())
}

/// The listening socket of a line of `/proc/net`, behind the name of its file.
fn socket(line: &str) -> Option<Listening> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (file, local, state) = (words.first()?, words.get(2)?, words.get(4)?);
    let (addr, port) = local.split_once(':')?;
    let protocol = if file.starts_with("tcp") { "TCP" } else { "UDP" };
    // Listening, and unconnected: upstreams are asked from connected sockets.
    let wanted = if protocol == "TCP" { "0A" } else { "07" };
    let loopback = addr == "0100007F" || addr == "00000000000000000000000001000000";
    (*state == wanted).then_some((u16::from_str_radix(port, 16).ok()?, protocol.to_owned(), loopback))
}

/// What the page says.
fn documented() -> BTreeSet<Listening> {
    let mut all = BTreeSet::new();
    for row in table("Ports") {
        let [port, protocols, _, reach, ..] = &row[..] else { panic!("{row:?}") };
        // A port that the Corefile has to name is written as the word's argument.
        let Ok(port) = port.parse::<u16>() else { continue };
        all.extend(
            protocols.split(", ").map(|protocol| (port, protocol.to_owned(), reach == "this machine")),
        );
    }
    all
}

/// A certificate for the encrypted transports.
fn certificate(dir: &Path) {
    let made = rcgen::generate_simple_self_signed(["dns.test".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

#[test]
fn listening_ports_of_a_full_corefile_are_those_of_the_page() {
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    let corefile = ". tls://. https://. quic://. https3://. {
        tls cert.pem key.pem
        errors
        log
        debug
        health
        ready
        prometheus
        reload
        loop
        cache
        dnstap collector.sock full
        loadbalance
        hosts {
            192.0.2.1 a.test
            fallthrough
        }
        forward . 127.0.0.9
    }\n"
    .replace("cert.pem key.pem", &format!("{0}/cert.pem {0}/key.pem", dir.path().display()))
    .replace("collector.sock", &format!("{}/collector.sock", dir.path().display()));
    let Some(found) = listening(dir.path(), &corefile) else { return };
    assert_eq!(found, documented());
}

#[test]
fn listening_ports_without_words_for_operators_are_the_dns_alone() {
    let dir = tempfile::tempdir().unwrap();
    let Some(found) = listening(dir.path(), ". {\n whoami\n}\n") else { return };
    let dns = |protocol: &str| (53, protocol.to_owned(), false);
    assert_eq!(found, BTreeSet::from([dns("TCP"), dns("UDP")]));
}
