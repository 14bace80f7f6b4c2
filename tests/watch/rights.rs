//! What is asked of an API server, and nothing else: the rights that a deployment has to grant.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::api::{Call, FakeApi, Fault, Resource};
use crate::world::{SYNC, Setup, World, shop, until};

/// A verb on a resource.
type Right = (String, String);

/// Every verb that a server with these options uses, whatever the API server can do.
fn used(options: &[&str]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for by_watch in [true, false] {
        let api = FakeApi::start();
        api.apply_all(shop());
        if !by_watch {
            api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
        }
        let world = Setup::new(options).start_synced(api);
        world.api.cut();
        let again = until(SYNC, || world.api.count(None, &[Call::Watch]) >= 2);
        assert!(again.is_some());
        all.extend(world.api.verbs());
    }
    all
}

/// `list` and `watch` on each.
fn list_and_watch(resources: &[&str]) -> BTreeSet<Right> {
    let on = |resource: &&str| ["list", "watch"].map(|verb| (verb.to_owned(), (*resource).to_owned()));
    resources.iter().flat_map(on).collect()
}

#[test]
fn services_slices_and_namespaces_are_listed_and_watched_and_nothing_else() {
    let wanted = list_and_watch(&["services", "endpointslices", "namespaces"]);
    assert_eq!(used(&[]), wanted);
    assert_eq!(used(&["pods insecure"]), wanted);
}

#[test]
fn pods_are_read_for_pods_verified_alone() {
    let wanted = list_and_watch(&["services", "endpointslices", "namespaces", "pods"]);
    assert_eq!(used(&["pods verified"]), wanted);
}

#[test]
fn slices_are_not_read_with_noendpoints() {
    assert_eq!(used(&["noendpoints"]), list_and_watch(&["services", "namespaces"]));
}

#[test]
fn the_cluster_role_that_ships_grants_what_is_used_and_nothing_else() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/deploy/rbac.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut granted = BTreeSet::new();
    for document in text.split("\n---") {
        let Ok(role) = serde_saphyr::from_str::<Value>(document) else { continue };
        if role["kind"] != "ClusterRole" {
            continue;
        }
        for rule in role["rules"].as_array().unwrap() {
            let texts = |field: &str| {
                let all = rule[field].as_array().unwrap().iter();
                all.map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            for resource in texts("resources") {
                let group = if resource == "endpointslices" { "discovery.k8s.io" } else { "" };
                assert_eq!(texts("apiGroups"), [group], "{resource}");
                granted.extend(texts("verbs").into_iter().map(|verb| (verb, resource.clone())));
            }
        }
    }
    let least = list_and_watch(&["services", "endpointslices", "namespaces"]);
    let most = list_and_watch(&["services", "endpointslices", "namespaces", "pods"]);
    assert!(granted == least || granted == most, "{granted:?}");
}

#[test]
fn requests_say_who_asks_and_in_which_languages() {
    let world = World::shop();
    for request in world.api.requests() {
        let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
        assert!(header("user-agent").starts_with("signpost/"), "user-agent {:?}", header("user-agent"));
        assert_eq!(header("accept"), "application/vnd.kubernetes.protobuf,application/json");
        assert!(!request.query.contains_key("limit") || request.call != Call::InitialWatch);
        assert_eq!(request.resource.map(Resource::path), Some(request.path.as_str()));
    }
}
