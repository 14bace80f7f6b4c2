//! What is selected at the API server: `labels`, pods' phases (K-158, K-208).

use serde_json::json;

use crate::api::{FakeApi, Resource, pod, service};
use crate::world::{SOON, Setup, shop};

#[test]
fn labels_select_services_slices_and_pods_but_not_namespaces() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let world = Setup::new(&["pods verified", "labels \"app in (web, db),tier!=back\""]).start_synced(api);
    for request in world.api.requests() {
        let labels = request.query.get("labelSelector").map(String::as_str);
        let fields = request.query.get("fieldSelector").map(String::as_str);
        match request.resource.unwrap() {
            Resource::Namespaces => assert_eq!((labels, fields), (None, None), "{request:?}"),
            other => {
                let words: String = labels.unwrap_or_default().split_whitespace().collect();
                assert_eq!(words, "appin(web,db),tier!=back", "{request:?}");
                let phases = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown";
                assert_eq!(fields, (other == Resource::Pods).then_some(phases), "{request:?}");
            }
        }
    }
}

#[test]
fn what_leaves_the_selection_is_gone_and_what_enters_it_is_there() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let mut world = Setup::new(&["labels app=web"]).start_synced(api);
    world.now("web.shop.svc.Z A", "@ A 10.96.0.1");
    world.now("db.shop.svc.Z A", "NX");
    let mut other = service("shop", "web", "10.96.0.1");
    other["metadata"]["labels"] = json!({"app": "other"});
    world.api.apply(other);
    world.eventually("web.shop.svc.Z A", "NX", SOON);
    let mut other = service("shop", "late", "10.96.0.8");
    other["metadata"]["labels"] = json!({"app": "web"});
    world.api.apply(other);
    world.eventually("late.shop.svc.Z A", "@ A 10.96.0.8", SOON);
}

#[test]
fn pods_that_ended_are_gone() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.apply(pod("shop", "job", "10.2.0.1"));
    let mut ended = pod("shop", "ended", "10.2.0.2");
    ended["status"]["phase"] = json!("Failed");
    api.apply(ended);
    let mut world = Setup::new(&["pods verified"]).start_synced(api);
    world.now("10-2-0-1.shop.pod.Z A", "@ A 10.2.0.1");
    world.now("10-2-0-2.shop.pod.Z A", "NX");
    let mut ended = pod("shop", "job", "10.2.0.1");
    ended["status"]["phase"] = json!("Succeeded");
    world.api.apply(ended);
    world.eventually("10-2-0-1.shop.pod.Z A", "NX", SOON);
    // The same pod with another address moves at once.
    world.api.apply(pod("shop", "move", "10.2.0.5"));
    world.eventually("10-2-0-5.shop.pod.Z A", "@ A 10.2.0.5", SOON);
    world.api.apply(pod("shop", "move", "10.2.0.6"));
    world.eventually("10-2-0-6.shop.pod.Z A", "@ A 10.2.0.6", SOON);
    world.now("10-2-0-5.shop.pod.Z A", "NX");
}
