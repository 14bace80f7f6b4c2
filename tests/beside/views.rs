//! `view` and `acl` over real sockets, on UDP and TCP, with their numbers; `loadbalance` with weights and networks.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsOption;

use super::world::{Upstream, ask, metrics, query, show, start, until, with_edns};

/// What a server says to a client of this address, over UDP.
fn ask_from(client: &str, server: SocketAddr, name: &str) -> String {
    let socket = UdpSocket::bind((client, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.send_to(&query(name, RecordType::A).to_vec().unwrap(), server).unwrap();
    let mut reply = [0; 4096];
    match socket.recv(&mut reply) {
        Ok(length) => show(&Message::from_vec(&reply[..length]).unwrap()),
        Err(_) => "silence".to_owned(),
    }
}

/// What a server says over TCP with EDNS: the reply in text, and its extended error.
fn ask_tcp(server: SocketAddr, name: &str) -> (String, Option<u16>) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let message = with_edns(query(name, RecordType::A), 1232).to_vec().unwrap();
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(&message);
    stream.write_all(&framed).unwrap();
    let mut length = [0; 2];
    if stream.read_exact(&mut length).is_err() {
        return ("silence".to_owned(), None);
    }
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    let reply = Message::from_vec(&reply).unwrap();
    let ede = reply.edns.as_ref().and_then(|edns| {
        edns.options().options.iter().find_map(|(_, option)| match option {
            EdnsOption::Unknown(15, value) => value.first_chunk().map(|code| u16::from_be_bytes(*code)),
            _ => None,
        })
    });
    (show(&reply), ede)
}

#[test]
fn views_of_one_zone_answer_from_upstreams_and_caches_of_their_own() {
    let (first, second) =
        (Upstream::start("a.test. 300 A 192.0.2.1"), Upstream::start("a.test. 300 A 192.0.2.2"));
    let block = |view: &str, upstream: &Upstream| {
        format!(
            ".:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n metadata\n {view}\n cache\n forward . {}\n}}\n",
            upstream.addr()
        )
    };
    let corefile =
        block("view inner {\n expr incidr(client_ip(), '127.0.0.2/32') && proto() == 'udp'\n }", &first)
            + &block("", &second);
    let running = start(&corefile);
    let server = running.addresses()[0];
    for _ in 0..2 {
        assert_eq!(ask_from("127.0.0.2", server, "a.test."), "NoError | a.test. 300 A 192.0.2.1");
        assert_eq!(ask_from("127.0.0.1", server, "a.test."), "NoError | a.test. 300 A 192.0.2.2");
    }
    assert_eq!(ask_tcp(server, "a.test.").0, "NoError | a.test. 300 A 192.0.2.2");
    let count = |view: &str, family: &str| {
        let lines = metrics(&running, family);
        let label = format!("view=\"{view}\"");
        let line = lines.iter().filter(|line| line.contains(&label)).collect::<Vec<_>>();
        line.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    for (view, queries) in [("inner", 2), ("", 3)] {
        assert_eq!(count(view, "coredns_dns_requests_total"), queries, "{view}");
        assert_eq!(count(view, "coredns_dns_responses_total"), queries, "{view}");
        assert_eq!(count(view, "coredns_cache_requests_total"), queries, "{view}");
        assert_eq!(count(view, "coredns_cache_misses_total"), 1, "{view}");
    }
    assert!(
        metrics(&running, "coredns_plugin_enabled")
            .iter()
            .any(|line| line.contains("view=\"inner\",name=\"view\""))
    );
}

#[test]
fn the_rules_of_acl_are_the_same_on_every_transport_and_counted() {
    let running = start(
        ".:0 {\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n hosts none {\n 10.0.0.1 open.test b.test f.test d.test\n }\n \
         acl b.test {\n block net 127.0.0.0/8\n }\n acl f.test d.test {\n drop net 127.0.0.0/9 type *\n }\n \
         acl {\n allow net 127.0.0.2\n }\n}\n\
         f.test:0 {\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n acl {\n filter net 127.0.0.1\n }\n hosts none {\n 10.0.0.1 f.test\n }\n}\n",
    );
    let server = running.addresses()[0];
    for (name, said, code) in [
        ("open.test.", "NoError aa | open.test. 3600 A 10.0.0.1", None),
        ("b.test.", "Refused", Some(15)),
        ("f.test.", "NoError", Some(17)),
        ("d.test.", "silence", None),
    ] {
        assert_eq!(ask_from("127.0.0.1", server, name), said, "{name}");
        assert_eq!(ask_tcp(server, name), (said.to_owned(), code), "{name}");
    }
    let mut lines = metrics(&running, "coredns_acl");
    lines.retain(|line| !line.ends_with(" 0"));
    let label = |zone: &str| {
        let server = &running.zones()[0];
        assert!(server.contains("127.0.0.1"), "{server}");
        format!("{{server=\"dns://127.0.0.1:0\"{zone},view=\"\"}}")
    };
    assert_eq!(
        lines,
        [
            format!("coredns_acl_allowed_requests_total{} 2", label("")),
            format!("coredns_acl_blocked_requests_total{} 2", label(",zone=\"b.test.\"")),
            format!("coredns_acl_dropped_requests_total{} 2", label(",zone=\"d.test.\"")),
            format!("coredns_acl_filtered_requests_total{} 2", label(",zone=\"f.test.\"")),
        ]
    );
}

#[test]
fn metadata_decides_where_the_block_publishes_it() {
    let corefile = |metadata: &str| {
        format!(
            ".:0 {{\n bind 127.0.0.1\n {metadata}\n view mine {{\n expr metadata('view/name') == 'mine'\n }}\n hosts none {{\n 10.0.0.1 a.test\n }}\n}}\n"
        )
    };
    let running = start(&corefile("metadata"));
    assert_eq!(ask(running.addresses()[0], "a.test.", RecordType::A), "NoError aa | a.test. 3600 A 10.0.0.1");
    let running = start(&corefile(""));
    assert_eq!(ask(running.addresses()[0], "a.test.", RecordType::A), "Refused");
    assert!(running.warnings().iter().any(|warning| warning.contains("`metadata()` is empty")));
}

/// The first address of each of so many replies.
fn firsts(server: SocketAddr, count: usize) -> Vec<String> {
    let first = |said: String| said.split(" | ").nth(1).unwrap().rsplit(' ').next().unwrap().to_owned();
    (0..count).map(|_| first(ask(server, "www.test.", RecordType::A))).collect()
}

#[test]
fn an_address_comes_first_as_its_weight_in_a_file_says_and_the_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights");
    // As good as always: 255 to 1.
    std::fs::write(&file, "www.test\n10.0.0.2 255\n").unwrap();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n root {}\n loadbalance weighted weights {{\n reload 20ms\n }}\n \
         hosts none {{\n 10.0.0.1 www.test\n 10.0.0.2 www.test\n }}\n}}\n",
        folder.path().display()
    ));
    let server = running.addresses()[0];
    let often = |address: &str| firsts(server, 40).iter().filter(|first| *first == address).count();
    assert!(often("10.0.0.2") > 30);
    // In one step: an empty file, as it is between two steps, is one without weights.
    let replace = |text: &str| {
        let next = folder.path().join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, &file).unwrap();
    };
    replace("www.test\n10.0.0.1 255\n");
    until("the file is read again", || often("10.0.0.1") > 30);
    // What is no file of weights changes nothing, nor does one that is not there; 200 questions take longer than `reload`.
    replace("10.0.0.2 255\n");
    assert!((0..5).all(|_| often("10.0.0.1") > 30));
    std::fs::remove_file(&file).unwrap();
    assert!((0..5).all(|_| often("10.0.0.1") > 30));
}

#[test]
fn addresses_of_preferred_networks_come_first_and_a_wrong_file_of_weights_is_an_error_at_its_place() {
    let hosts =
        "hosts none {\n 10.0.0.1 www.test\n 10.0.0.2 www.test\n 10.0.1.3 www.test\n 10.0.2.4 www.test\n }";
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n loadbalance {{\n prefer 10.0.2.0/24 10.0.1.0/24\n }}\n {hosts}\n}}\n"
    ));
    for _ in 0..20 {
        let said = ask(running.addresses()[0], "www.test.", RecordType::A);
        let addresses: Vec<&str> =
            said.split(" | ").skip(1).map(|record| record.rsplit(' ').next().unwrap()).collect();
        assert_eq!(&addresses[..2], ["10.0.2.4", "10.0.1.3"], "{said}");
        assert_eq!(addresses.len(), 4);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weights"), "10.0.0.1 3\n").unwrap();
    let text = format!(".:0 {{\n root {}\n loadbalance weighted weights\n}}\n", folder.path().display());
    let options = signpost::app::ServeOptions { text, ..Default::default() };
    let Err(error) = signpost::app::serve(options) else { panic!("it is served") };
    let error = error.to_string();
    assert!(error.starts_with("Corefile:3:23: loadbalance: "), "{error}");
    assert!(error.contains("weights line 1: an address stands before the first name"), "{error}");
}
