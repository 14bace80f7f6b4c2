//! Section F, continued: ExternalName Services whose targets another block of the Corefile knows (K-131, K-137 to K-144).

use std::path::Path;

use super::check_rows;
use super::harness::{Ask, Client, block, fixtures, start, start_unsynced};

/// Blocks for the shop's cluster and for another one, whose manifests are in `other`.
fn two_clusters(other: &Path, options: &[&str]) -> String {
    block("cluster.local", "cluster.local", &fixtures("cluster"), &[], &[])
        + &block("other.test", "other.test", other, options, &[])
}

#[test]
fn a_target_outside_is_asked_of_the_block_that_knows_it() {
    let running = start(&two_clusters(&fixtures("other"), &["ttl 30"]));
    check_rows(
        &running,
        5,
        &[
            (
                "K-131",
                "abroad.shop.svc.Z A",
                "@ CNAME api.prod.svc.other.test.; api.prod.svc.other.test. 30 A 10.97.0.1",
            ),
            (
                "K-131",
                "ABROAD.shop.svc.CLUSTER.LOCAL. A",
                "@ CNAME api.prod.svc.other.test.; api.prod.svc.other.test. 30 A 10.97.0.1",
            ),
            (
                "K-131",
                "abroad-six.shop.svc.Z AAAA +edns +do",
                "edns 1232 do; @ CNAME api-six.prod.svc.other.test.; api-six.prod.svc.other.test. 30 AAAA fd00:97::1",
            ),
            ("K-138", "abroad.shop.svc.Z AAAA", "@ CNAME api.prod.svc.other.test."),
            ("K-138", "abroad-six.shop.svc.Z A", "@ CNAME api-six.prod.svc.other.test."),
            ("K-130", "abroad.shop.svc.Z CNAME", "@ CNAME api.prod.svc.other.test."),
            ("K-141", "abroad.shop.svc.Z ANY", "NODATA"),
            ("K-137", "abroad-gone.shop.svc.Z A", "@ CNAME nothing.prod.svc.other.test."),
            ("K-137", "abroad-empty.shop.svc.Z A", "@ CNAME prod.svc.other.test."),
            (
                "K-142",
                "abroad-alias.shop.svc.Z A",
                "@ CNAME alias.prod.svc.other.test.; \
                 alias.prod.svc.other.test. 30 CNAME api.prod.svc.other.test.; \
                 api.prod.svc.other.test. 30 A 10.97.0.1",
            ),
            ("K-144", "outside.shop.svc.Z A", "@ CNAME www.example.com."),
            // The other cluster's names are its own block's.
            ("K-001", "api.prod.svc.other.test. A", "@ 30 A 10.97.0.1"),
            ("K-001", "www.example.com. A", "REFUSED"),
        ],
    );
}

#[test]
fn a_target_that_could_not_be_resolved_is_servfail() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not-there");
    let corefile = two_clusters(&missing, &["startup_timeout 20ms"]);
    let running = start_unsynced(&corefile, signpost::app::ServeOptions::default());
    for mut client in Client::all(&running.addresses()) {
        let known = client.ask(&Ask::parse("web.shop.svc.Z A"));
        assert_eq!(known, "NOERROR aa\nanswer @ 5 A 10.96.1.1\n", "this cluster is known");
        let failed = client.ask(&Ask::parse("abroad.shop.svc.Z A +edns"));
        assert!(failed.starts_with("SERVFAIL") && failed.contains("ede=22"), "K-137: {failed}");
        assert!(!failed.contains("answer"), "K-137: {failed}");
        let alias = client.ask(&Ask::parse("abroad.shop.svc.Z CNAME"));
        assert_eq!(alias, "NOERROR aa\nanswer @ 5 CNAME api.prod.svc.other.test.\n", "K-130");
    }
}
