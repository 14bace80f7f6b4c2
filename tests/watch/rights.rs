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
    used_beside(options, &[])
}

/// The same with other words in the block.
fn used_beside(options: &[&str], words: &[&str]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for by_watch in [true, false] {
        let api = FakeApi::start();
        api.apply_all(shop());
        if !by_watch {
            api.fault(Fault::status(422).calls(&[Call::InitialWatch]));
        }
        let setup = words.iter().fold(Setup::new(options), |setup, word| setup.word(word));
        let world = setup.start_synced(api);
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
fn imports_hosts_and_routes_are_read_where_a_line_asks_for_them() {
    let usual = ["services", "endpointslices", "namespaces"];
    let with = |more: &[&str]| list_and_watch(&[&usual[..], more].concat());
    assert_eq!(used(&["multicluster cluster.local"]), with(&["serviceimports"]));
    // The endpoints of other clusters stand in slices.
    assert_eq!(used(&["multicluster cluster.local", "noendpoints"]), with(&["serviceimports"]));
    assert_eq!(used(&["zonal"]), with(&[]));
    let external =
        |options: &str| used_beside(&[], &[&format!("k8s_external example.org {{\n{options}\n}}")]);
    assert_eq!(external("headless"), with(&[]));
    assert_eq!(external("ingress"), with(&["ingresses"]));
    let mut gateway = with(&["gateways", "httproutes", "grpcroutes", "tlsroutes"]);
    // The version of TLSRoute that is asked for first is not there.
    for version in ["v1", "v1alpha3"] {
        gateway.insert(("other".to_owned(), format!("/apis/gateway.networking.k8s.io/{version}/tlsroutes")));
    }
    let used: BTreeSet<Right> = external("gateway");
    let names = |rights: &BTreeSet<Right>| rights.iter().map(|(_, on)| on.clone()).collect::<BTreeSet<_>>();
    assert_eq!(names(&used), names(&gateway));
    assert!(with(&["gateways", "tlsroutes"]).is_subset(&used), "{used:?}");
}

/// The rules of the ClusterRole that ships; `all` switches those on that are switched off.
fn granted(all: bool) -> BTreeSet<(String, String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/deploy/rbac.yaml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    if all {
        let on = text.lines().map(|line| match line.strip_prefix("  # ") {
            Some(rule) if rule.starts_with("- ") || rule.starts_with("  ") => format!("  {rule}"),
            _ => line.to_owned(),
        });
        text = on.collect::<Vec<_>>().join("\n");
    }
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
                assert_eq!(texts("apiGroups").len(), 1, "{resource}");
                let rights = texts("verbs")
                    .into_iter()
                    .map(|verb| (texts("apiGroups")[0].clone(), resource.clone(), verb));
                granted.extend(rights);
            }
        }
    }
    granted
}

/// `list` and `watch` on resources with their groups.
fn rights(resources: &[Resource]) -> BTreeSet<(String, String, String)> {
    let on = |resource: &Resource| {
        let group = resource.api_version().rsplit_once('/').map_or("", |(group, _)| group).to_owned();
        ["list", "watch"].map(|verb| (group.clone(), resource.plural().to_owned(), verb.to_owned()))
    };
    resources.iter().flat_map(on).collect()
}

#[test]
fn the_cluster_role_that_ships_grants_what_is_used_and_nothing_else() {
    let least = [Resource::Services, Resource::EndpointSlices, Resource::Namespaces];
    assert_eq!(granted(false), rights(&least));
}

#[test]
fn the_rules_that_are_switched_off_are_those_of_all_that_can_be_asked_for() {
    assert_eq!(granted(true), rights(&Resource::ALL));
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

/// The rights that `signpost check` says a Corefile needs.
fn said(corefile: &str) -> BTreeSet<Right> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Corefile");
    std::fs::write(&file, corefile).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_signpost"));
    let output = command.args(["check", "--format", "json"]).arg(&file).output().unwrap();
    let reports: Value = serde_json::from_slice(&output.stdout).unwrap();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in reports[0]["rights"].as_array().unwrap_or_else(|| panic!("{reports}")) {
        for resource in texts(&rule["resources"]) {
            all.extend(texts(&rule["verbs"]).into_iter().map(|verb| (verb, resource.clone())));
        }
    }
    all
}

#[test]
fn what_check_says_about_rights_is_what_an_api_server_is_asked_for() {
    let external = |option: &str| format!("k8s_external example.org {{\n{option}\n}}");
    let cases: [(&[&str], Vec<String>); 6] = [
        (&[], Vec::new()),
        (&["pods verified"], Vec::new()),
        (&["noendpoints"], Vec::new()),
        (&["multicluster cluster.local", "pods verified"], Vec::new()),
        (&[], vec![external("ingress")]),
        (&[], vec![external("gateway")]),
    ];
    for (options, words) in cases {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let setup = words.iter().fold(Setup::new(options), |setup, word| setup.word(word));
        let mut used = used_beside(options, &words);
        // Versions of a kind that are not there are asked for by their path.
        used.retain(|(_, resource)| !resource.starts_with('/'));
        let api = FakeApi::start();
        assert_eq!(said(&setup.corefile(&api)), used, "{options:?} {words:?}");
    }
}
