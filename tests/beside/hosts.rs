//! `hosts` (rule S-10).

use std::fs;

use hickory_proto::rr::RecordType::{A, AAAA, ANY, MX, PTR, TXT};

use super::world::{Upstream, ask, metrics, start, start_file, until};

#[test]
fn names_of_a_file_and_of_the_corefile_are_answered_and_others_fail_or_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts");
    fs::write(&file, "10.0.0.1 db.example.org db\n10.0.0.2 db.example.org\nfd00::1 six.example.org\n")
        .unwrap();
    let upstream = Upstream::start(
        "db.example.org. 9 A 192.0.2.66\nother.example.org. 9 A 192.0.2.1\n2.2.0.192.in-addr.arpa. 9 A 192.0.2.2",
    );
    let corefile = |more: &str| {
        format!(
            ".:0 {{\n bind 127.0.0.1\n hosts {} example.org {{\n 10.0.0.9 own.example.org\n ttl 60\n {more}\n }}\n \
             forward . {}\n}}\n",
            file.display(),
            upstream.addr()
        )
    };
    let plain = start(&corefile(""));
    let through = start(&corefile("fallthrough"));
    let unsupported = start(&corefile("fallthrough\n fallthrough_unsupported\n no_reverse"));
    let part = start(&corefile("fallthrough other.example.org"));
    for running in [&plain, &through, &unsupported, &part] {
        let server = running.addresses()[0];
        assert_eq!(
            ask(server, "DB.Example.ORG.", A),
            "NoError aa | DB.Example.ORG. 60 A 10.0.0.1 | DB.Example.ORG. 60 A 10.0.0.2"
        );
        assert_eq!(ask(server, "db.example.org.", AAAA), "NoError aa");
        assert_eq!(ask(server, "six.example.org.", AAAA), "NoError aa | six.example.org. 60 AAAA fd00::1");
        assert_eq!(ask(server, "own.example.org.", A), "NoError aa | own.example.org. 60 A 10.0.0.9");
        // Not of the zones: not read, and not answered.
        assert!(ask(server, "db.", A).starts_with("NXDomain"));
        assert!(ask(server, "2.2.0.192.in-addr.arpa.", PTR).starts_with("NoError | authority"));
    }
    let [plain, through, unsupported, part] =
        [&plain, &through, &unsupported, &part].map(|running| running.addresses()[0]);
    for server in [plain, through, part] {
        assert_eq!(
            ask(server, "1.0.0.10.in-addr.arpa.", PTR),
            "NoError aa | 1.0.0.10.in-addr.arpa. 60 PTR db.example.org."
        );
        for rtype in [TXT, MX, ANY] {
            assert_eq!(ask(server, "db.example.org.", rtype), "NoError aa");
        }
    }
    assert!(ask(unsupported, "1.0.0.10.in-addr.arpa.", PTR).starts_with("NXDomain"));
    assert!(ask(unsupported, "db.example.org.", TXT).starts_with("NoError | authority"));
    assert_eq!(ask(plain, "other.example.org.", A), "ServFail");
    assert_eq!(ask(plain, "nothing.example.org.", TXT), "ServFail");
    for server in [through, unsupported, part] {
        assert_eq!(ask(server, "other.example.org.", A), "NoError | other.example.org. 9 A 192.0.2.1");
    }
    assert_eq!(ask(part, "nothing.example.org.", A), "ServFail");
    assert!(ask(through, "nothing.example.org.", A).starts_with("NXDomain"));
    assert!(!upstream.was_asked("db.example.org. A"));
}

#[test]
fn a_file_is_read_again_while_serving_and_over_reloads_of_the_corefile() {
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = (folder.path().join("NodeHosts"), folder.path().join("Corefile"));
    let corefile = |more: &str| {
        format!(
            ".:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n hosts {} {{\n ttl 60\n reload 20ms\n fallthrough\n }}\n {more}\n}}\n",
            file.display()
        )
    };
    let running = start_file(&path, &corefile(""));
    let server = running.addresses()[0];
    assert_eq!(ask(server, "node.", A), "ServFail", "no file yet, nobody behind");
    fs::write(&file, "10.0.0.1 node\n").unwrap();
    until("the file", || ask(server, "node.", A) == "NoError aa | node. 60 A 10.0.0.1");
    // As a ConfigMap is changed: another file takes the name.
    let next = folder.path().join("next");
    fs::write(&next, "10.0.0.2 node\n").unwrap();
    fs::rename(&next, &file).unwrap();
    until("the new file", || ask(server, "node.", A) == "NoError aa | node. 60 A 10.0.0.2");
    fs::remove_file(&file).unwrap();

    fs::write(&path, corefile("whoami")).unwrap();
    running.reload();
    until("the new Corefile", || ask(server, "other.", A).starts_with("NoError aa | additional"));
    assert_eq!(ask(server, "node.", A), "NoError aa | node. 60 A 10.0.0.2", "what was read last stays");
    let entries = metrics(&running, "coredns_hosts_entries{");
    assert_eq!(entries, [format!("coredns_hosts_entries{{hostsfile=\"{}\"}} 2", file.display())]);
    let changed = metrics(&running, "coredns_hosts_reload_timestamp_seconds ");
    assert!(!changed[0].ends_with(" 0"), "{changed:?}");
    assert!(
        metrics(&running, "coredns_dns_responses_total").iter().any(|line| line.contains("plugin=\"hosts\""))
    );
}

#[test]
fn an_address_of_more_names_than_a_message_holds_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blocked");
    let lines: String = (0..20_000).map(|number| format!("0.0.0.0 ads{number}.example.net\n")).collect();
    fs::write(&file, lines).unwrap();
    let running = start(&format!(".:0 {{\n bind 127.0.0.1\n hosts {}\n}}\n", file.display()));
    let server = running.addresses()[0];
    assert_eq!(ask(server, "ads19999.example.net.", A), "NoError aa | ads19999.example.net. 3600 A 0.0.0.0");
    assert!(ask(server, "0.0.0.0.in-addr.arpa.", PTR).starts_with("NoError aa tc | "));
}
