//! What watches, audits, tells staleness and keeps snapshots.

use crate::api::{FakeApi, namespace, service, slice};
use crate::process::wait;
use crate::rig::{PATIENCE, Rig, folder};

/// An API server with a Service, and the Corefile that watches it.
fn cluster() -> (FakeApi, String) {
    let api = FakeApi::start();
    api.apply_all([
        namespace("kube-system"),
        namespace("shop"),
        service("shop", "web", "10.96.0.1"),
        slice("shop", "web-1", "web", &["10.1.0.9"]),
    ]);
    let corefile = format!(
        ".:PORT {{\n bind 127.0.0.1\n METRICS\n kubernetes cluster.local {{\n endpoint {}\n audit 1s\n snapshot DIR/snapshot 1s\n }}\n}}\n",
        api.url()
    );
    (api, corefile)
}

#[test]
fn p11_watches_and_their_thread_that_panic_list_anew_and_follow() {
    let (api, corefile) = cluster();
    let orders = "cluster:2,feed:1,feed:4,watch:2,watch:5,watch:9,watch:14,watch:20";
    let mut rig = Rig::start(folder(), &corefile, orders);
    rig.panicked("cluster", 1);
    rig.panicked("feed", 2);
    rig.panicked("watch", 5);
    rig.answers("web.shop.svc.cluster.local.", "10.96.0.1");
    api.apply(service("shop", "new", "10.96.0.2"));
    rig.answers("new.shop.svc.cluster.local.", "10.96.0.2");
    api.edit(|cluster| cluster.delete(crate::api::Resource::Services, "shop", "web"));
    wait("the end of a name", PATIENCE, || {
        (rig.server.ask("web.shop.svc.cluster.local.")?.0 == 3).then_some(())
    });
}

#[test]
fn p11_an_audit_that_panics_half_way_is_begun_anew_and_heals() {
    let (api, corefile) = cluster();
    let mut rig = Rig::start(folder(), &corefile, "audit:2,audit:6,audit:11");
    rig.answers("web.shop.svc.cluster.local.", "10.96.0.1");
    rig.panicked("audit", 3);
    // An event that is never told: only an audit finds it.
    api.edit(|cluster| cluster.swallow(|cluster| cluster.apply(service("shop", "lost", "10.96.0.3"))));
    rig.answers("lost.shop.svc.cluster.local.", "10.96.0.3");
    let healed = "signpost_audit_healed_total{resource=\"services\"}";
    wait("what was healed", PATIENCE, || (rig.value(healed)? == 1).then_some(()));
    assert_eq!(rig.panics("audit"), 3);
}

#[test]
fn p11_a_look_for_staleness_that_panics_is_followed_by_one_that_tells() {
    let (api, corefile) = cluster();
    // Each life of the task is a turn to make it and one for each look, once a second. The thread of snapshots panics too.
    let mut rig = Rig::start(folder(), &corefile, "snapshot:1,snapshot:2");
    rig.panicked("snapshot", 2);
    rig.answers("web.shop.svc.cluster.local.", "10.96.0.1");
    wait("a snapshot", PATIENCE, || rig.path("snapshot").is_file().then_some(()));
    let Rig { server, folder, .. } = rig;
    drop(server);
    // What comes from a snapshot is stale from the first moment on.
    api.down();
    let mut rig = Rig::start(folder, &corefile, "staleness:1,staleness:3,memory:1,upkeep:1,upkeep:3");
    rig.answers("web.shop.svc.cluster.local.", "10.96.0.1");
    rig.panicked("staleness", 2);
    rig.panicked("memory", 1);
    rig.panicked("upkeep", 1);
    rig.says("cluster.local. services: stale: they come from a snapshot");
    // And it tells the end of it.
    api.up();
    rig.says("cluster.local. services: confirmed again, no longer stale");
}
