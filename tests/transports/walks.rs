//! `acl` decides about every name that `autopath` comes to, whatever brought the question (rules K-255, S-08).

use crate::encrypted::Over;
use crate::harness::{Ask, Client, Via, text};
use crate::rig::Rig;

#[test]
fn what_acl_blocks_is_not_found_by_a_walk_on_any_transport() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resolv.conf");
    std::fs::write(&file, "search ns.svc.cluster.local test\n").unwrap();
    let lines = format!("autopath {}\n acl b.test {{\n block net 127.0.0.0/8\n }}", file.display());
    let rig = Rig::with(&lines, |_| {});
    let check = |over: &str, ask: &mut dyn FnMut(&[u8]) -> Vec<u8>| {
        let mut said = |question: &str| {
            let query = Ask::parse(question).bytes(0);
            text(&ask(&query), &query)
        };
        let found = said("a.ns.svc.cluster.local. A");
        assert!(found.contains(" CNAME a.test.\n") && found.contains("A 10.0.0.1\n"), "{over}: {found}");
        for question in ["b.ns.svc.cluster.local. A", "b.test. A"] {
            let blocked = said(question);
            assert!(!blocked.contains("10.0.0.2"), "{over}: {question}: {blocked}");
        }
    };
    for via in [Via::Udp, Via::Tcp] {
        let mut client = Client::new(via, rig.running.addresses()[0]);
        check(&format!("{via:?}"), &mut |query| client.exchange(query).unwrap());
    }
    for over in Over::all() {
        let mut asker = rig.asker(over);
        check(&format!("{over:?}"), &mut |query| asker.ask(query).unwrap());
    }
}
