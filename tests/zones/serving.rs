//! Answers from zone files and folders, and what becomes of files that change.

use std::fs;
use std::os::unix::fs::symlink;

use hickory_proto::rr::RecordType::{A, AAAA, DS, MX, NS, SOA, TXT};

use super::world::{EXAMPLE, ask, example, start, start_file, try_start, until};

/// The name servers of the example.
const NAMESERVERS: &str =
    "authority example.org. 3600 NS ns.example.org. | authority example.org. 3600 NS ns.other.test.";

/// The SOA of the example.
const SOA_LINE: &str =
    "authority example.org. 3600 SOA ns.example.org. hostmaster.example.org. 7 7200 1800 1209600 300";

#[test]
fn a_zone_file_is_served_with_aliases_inside_and_outside() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("db"), EXAMPLE).unwrap();
    fs::write(folder.path().join("other"), "@ 9 SOA a b 1 2 3 4 5\nwww 9 A 192.0.2.200\n").unwrap();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n file {0}/db example.org\n file {0}/other other.test {{\n fallthrough miss.other.test\n \
         }}\n whoami\n}}\nnowhere.test:0 {{\n bind 127.0.0.1\n hosts /dev/null\n}}\n",
        folder.path().display()
    ));
    let server = running.addresses()[0];
    assert_eq!(
        ask(server, "Mail.example.org.", A),
        format!("NoError aa | Mail.example.org. 60 A 192.0.2.25 | {NAMESERVERS}")
    );
    assert_eq!(
        ask(server, "www.example.org.", A),
        format!(
            "NoError aa | web.example.org. 3600 A 192.0.2.80 | web.example.org. 3600 A 192.0.2.81 | www.example.org. \
             3600 CNAME web.example.org. | {NAMESERVERS}"
        )
    );
    assert_eq!(ask(server, "nothing.example.org.", A), format!("NXDomain aa | {SOA_LINE}"));
    assert_eq!(ask(server, "b.c.example.org.", TXT), format!("NoError aa | {SOA_LINE}"));
    assert_eq!(
        ask(server, "x.sub.example.org.", A),
        "NoError | authority sub.example.org. 3600 NS ns.elsewhere.test. | authority sub.example.org. 3600 NS \
         ns.sub.example.org. | additional ns.sub.example.org. 3600 A 192.0.2.99"
    );
    assert!(ask(server, "sub.example.org.", DS).starts_with("NoError aa | sub.example.org. 3600 DS "));
    assert!(ask(server, "example.org.", MX).contains("additional mail.example.org. 60 A 192.0.2.25"));
    // An alias that leads out is asked for like any question of a client.
    assert_eq!(
        ask(server, "out.example.org.", A),
        format!(
            "NoError aa | out.example.org. 3600 CNAME www.other.test. | www.other.test. 9 A 192.0.2.200 | {NAMESERVERS}"
        )
    );
    assert_eq!(
        ask(server, "out.example.org.", AAAA),
        format!("NoError aa | out.example.org. 3600 CNAME www.other.test. | {SOA_LINE}")
    );
    assert_eq!(
        ask(server, "lost.example.org.", A),
        format!("NXDomain aa | lost.example.org. 3600 CNAME nothing.other.test. | {SOA_LINE}")
    );
    assert_eq!(
        ask(server, "foreign.example.org.", A),
        format!("ServFail aa | foreign.example.org. 3600 CNAME www.nowhere.test. | {NAMESERVERS}"),
        "`hosts` fails for names that it has not"
    );
    let far = ask(server, "www.far.example.org.", A);
    assert!(
        far.contains("www.far.example.org. 3600 CNAME www.other.test. | www.other.test. 9 A 192.0.2.200"),
        "{far}"
    );
    // The other zone falls through below one name.
    assert!(ask(server, "x.miss.other.test.", A).starts_with("NoError aa | additional "), "whoami");
    assert!(ask(server, "x.kiss.other.test.", A).starts_with("NXDomain aa"));
}

#[test]
fn the_longest_zone_of_all_lines_counts_and_the_ds_of_a_zone_is_its_parents() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("parent"), "@ 9 SOA a b 1 2 3 4 5\nchild NS ns.child\nchild DS 1 8 2 abababababababababababababababababababababababababababababababab\n").unwrap();
    fs::write(folder.path().join("child"), "@ 9 SOA a b 1 2 3 4 5\nx 9 A 192.0.2.1\n").unwrap();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n file {0}/parent parent.test\n file {0}/child child.parent.test\n}}\n",
        folder.path().display()
    ));
    let server = running.addresses()[0];
    assert!(
        ask(server, "x.child.parent.test.", A).starts_with("NoError aa | x.child.parent.test. 9 A 192.0.2.1")
    );
    let ds = ask(server, "child.parent.test.", DS);
    assert!(ds.starts_with("NoError aa | child.parent.test. 9 DS "), "{ds}");
    assert!(ask(server, "child.parent.test.", SOA).contains("a.child.parent.test."));
    assert!(ask(server, "parent.test.", DS).starts_with("NoError aa | authority parent.test. 9 SOA"));
}

#[test]
fn a_file_is_read_again_when_its_serial_changes_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("db");
    fs::write(&db, EXAMPLE).unwrap();
    let text = |option: &str| {
        format!(
            "example.org:0 {{\n bind 127.0.0.1\n file {} {{\n reload 10ms\n {option}\n }}\n}}\n",
            db.display()
        )
    };
    let (by_serial, by_mtime) = (start(&text("")), start(&text("reload_by_mtime")));
    let (server, other) = (by_serial.addresses()[0], by_mtime.addresses()[0]);
    let has = |server, name: &str| ask(server, name, A).starts_with("NoError aa | new");
    fs::write(&db, example(7, "new A 192.0.2.100\n")).unwrap();
    until("a new file", || has(other, "new.example.org."));
    assert!(!has(server, "new.example.org."), "the serial is the same");
    fs::write(&db, example(8, "new A 192.0.2.100\n")).unwrap();
    until("a new serial", || has(server, "new.example.org."));
    fs::write(&db, example(9, "newer A 192.0.2.1000\n")).unwrap();
    fs::write(&db, example(9, "newer A nonsense\n")).unwrap();
    fs::remove_file(&db).unwrap();
    assert!(has(server, "new.example.org.") && has(other, "new.example.org."), "what was read last stays");
    fs::write(&db, example(3, "newest A 192.0.2.101\n")).unwrap();
    until("a lower serial", || has(server, "newest.example.org."));
    assert!(!has(server, "new.example.org."));
}

#[test]
fn a_broken_file_at_start_is_an_error_with_its_line_and_one_that_is_missing_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("db");
    let text = |option: &str| {
        format!("example.org:0 {{\n bind 127.0.0.1\n file {} {{\n {option}\n }}\n}}\n", db.display())
    };
    let error = try_start(&text("reload 0")).err().unwrap();
    assert!(error.starts_with("Corefile:3:7: file: the zone file "), "{error}");
    let running = start(&text("reload 10ms"));
    let server = running.addresses()[0];
    assert_eq!(ask(server, "web.example.org.", A), "ServFail");
    fs::write(&db, EXAMPLE).unwrap();
    until("the file", || ask(server, "web.example.org.", A).starts_with("NoError aa"));
    fs::write(&db, "@ 5 SOA a b 1 2 3 4 5\n\nx A 1.2.3\n").unwrap();
    let error = try_start(&text("reload 10ms")).err().unwrap();
    assert!(
        error.contains("the zone example.org.: ") && error.contains("db:3: A: `1.2.3` is no IPv4 address"),
        "{error}"
    );
}

#[test]
fn zones_stay_over_reloads_of_the_corefile_and_a_broken_one_stops_the_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (db, path) = (folder.path().join("db"), folder.path().join("Corefile"));
    fs::write(&db, EXAMPLE).unwrap();
    let text = |more: &str| format!("example.org:0 {{\n bind 127.0.0.1\n file {}\n}}\n{more}", db.display());
    let running = start_file(&path, &text(""));
    let server = running.addresses()[0];
    fs::write(&db, "broken").unwrap();
    let other = "other.test:0 {\n bind 127.0.0.1\n whoami\n}\n";
    fs::write(&path, text(other)).unwrap();
    running.reload();
    until("the new block", || ask(server, "other.test.", A).starts_with("NoError aa"));
    assert!(
        ask(server, "web.example.org.", A).starts_with("NoError aa | web"),
        "the same line keeps its zone"
    );
    fs::write(&path, text(other).replace("example.org:0", "another.test:0")).unwrap();
    running.reload();
    // Nothing tells that a reload failed but that nothing changes; a good one comes behind it.
    fs::write(&path, text("third.test:0 {\n bind 127.0.0.1\n whoami\n}\n")).unwrap();
    running.reload();
    until("the third block", || ask(server, "third.test.", A).starts_with("NoError aa"));
    assert!(ask(server, "web.example.org.", A).starts_with("NoError aa | web"));
}

#[test]
fn files_of_a_folder_come_change_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("zones");
    let zone = |serial: u32, last: u8| format!("@ 9 SOA a b {serial} 2 3 4 5\nx A 192.0.2.{last}\n");
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n auto example.org {{\n directory {} ^(.*)\\.zone$ {{1}}\n reload 10ms\n fallthrough \
         y.example.org\n }}\n forward . 127.0.0.1:1\n}}\n",
        dir.display()
    ));
    let server = running.addresses()[0];
    let has = |name: &str, last: u8| {
        ask(server, name, A).starts_with(&format!("NoError aa | {name} 9 A 192.0.2.{last}"))
    };
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("example.org.zone"), zone(1, 1)).unwrap();
    fs::write(dir.join("example.org.zone.bak"), zone(1, 2)).unwrap();
    fs::write(dir.join("example.net.zone"), zone(1, 3)).unwrap();
    fs::write(dir.join("broken.example.org.zone"), "x").unwrap();
    until("the first zone", || has("x.example.org.", 1));
    assert_eq!(
        ask(server, "x.example.net.", A),
        "ServFail",
        "found, and none of the names that are answered"
    );
    assert!(ask(server, "z.example.org.", A).starts_with("NXDomain aa"));
    assert_eq!(ask(server, "y.example.org.", A), "ServFail", "fell through to nobody");
    // As a ConfigMap is mounted: a link to a folder that is replaced.
    let (one, two) = (dir.join("..1"), dir.join("..2"));
    for (at, last) in [(&one, 11), (&two, 12)] {
        fs::create_dir(at).unwrap();
        fs::write(at.join("sub.example.org.zone"), zone(last, u8::try_from(last).unwrap())).unwrap();
    }
    symlink("..1", dir.join("..data")).unwrap();
    symlink("..data/sub.example.org.zone", dir.join("sub.example.org.zone")).unwrap();
    until("a zone below", || has("x.sub.example.org.", 11));
    symlink("..2", dir.join("..next")).unwrap();
    fs::rename(dir.join("..next"), dir.join("..data")).unwrap();
    until("the other folder", || has("x.sub.example.org.", 12));
    fs::write(dir.join("example.org.zone"), zone(2, 5)).unwrap();
    until("a new serial", || has("x.example.org.", 5));
    fs::write(dir.join("broken.example.org.zone"), zone(2, 6)).unwrap();
    until("the broken one", || has("x.broken.example.org.", 6));
    fs::remove_file(dir.join("sub.example.org.zone")).unwrap();
    until("the end of a zone", || {
        ask(server, "x.sub.example.org.", A).starts_with("NXDomain aa | authority example.org.")
    });
    assert!(ask(server, "example.org.", NS).starts_with("NoError aa | authority example.org. 9 SOA"));
}

#[test]
fn relative_paths_are_below_the_root() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("zones")).unwrap();
    fs::write(folder.path().join("db"), EXAMPLE).unwrap();
    fs::write(folder.path().join("zones/db.other.test"), "@ 9 SOA a b 1 2 3 4 5\nx 9 A 192.0.2.7\n").unwrap();
    let running = start(&format!(
        ".:0 {{\n bind 127.0.0.1\n file db example.org\n auto {{\n directory zones\n }}\n root {}\n}}\n",
        folder.path().display()
    ));
    let server = running.addresses()[0];
    assert!(ask(server, "web.example.org.", A).starts_with("NoError aa | web"));
    assert!(ask(server, "x.other.test.", A).starts_with("NoError aa | x.other.test. 9 A 192.0.2.7"));
}

#[test]
fn who_has_authority_for_some_zones_refuses_the_others() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("db"), EXAMPLE).unwrap();
    let block = |words: &str| {
        format!(
            ".:0 {{\n bind 127.0.0.1\n {}\n}}\n",
            words.replace("DIR", &folder.path().display().to_string())
        )
    };
    for (words, said) in [
        ("file DIR/db example.org", "Refused"),
        ("auto example.org {\n directory DIR\n }", "Refused"),
        ("hosts /dev/null example.net\n file DIR/db example.org", "Refused"),
        // Somebody behind it might have known.
        ("file DIR/db example.org\n erratic {\n drop 0\n }", "NoError"),
        ("hosts /dev/null example.org", "ServFail"),
    ] {
        let running = start(&block(words));
        let reply = ask(running.addresses()[0], "www.example.com.", A);
        assert_eq!(reply.split([' ', '|']).next(), Some(said), "{words}: {reply}");
    }
}
