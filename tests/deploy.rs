//! The manifests of config/deploy, and what the chart renders to: each is what Kubernetes takes, all fit together, and the Corefile in them is served.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use serde_json::Value;
use signpost::chain::{self, BuildOptions, Parts, Plan, StoreSpec};
use signpost::corefile::{self, ImportFault, Source, Spec};
use signpost::metrics::Tally;
use signpost::store::{Store, Wanted};
use signpost::time::{Clock, Wall};

#[path = "deploy/chart.rs"]
mod chart;
#[path = "deploy/confined.rs"]
mod confined;
#[path = "deploy/digest.rs"]
mod digest;
#[path = "deploy/helm_test.rs"]
mod helm_test;

/// Where all of it lives.
const NAMESPACE: &str = "kube-system";

/// What Kubernetes sets in a pod, and the source of names looks for.
const IN_A_POD: [(&str, &str); 2] =
    [("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];

/// A path below the root of the project.
fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// Every object of the folder, with its file.
fn objects() -> Vec<(String, Value)> {
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(path("config/deploy")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        for document in serde_saphyr::from_multiple::<Value>(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
        {
            objects.push((name.clone(), document));
        }
    }
    objects
}

/// The only object of a kind.
fn only(kind: &str) -> Value {
    let mut all: Vec<Value> =
        objects().into_iter().map(|(_, object)| object).filter(|object| object["kind"] == kind).collect();
    assert_eq!(all.len(), 1, "{kind}");
    all.remove(0)
}

/// The pod of the Deployment: its metadata and its spec.
fn template() -> Value {
    only("Deployment")["spec"]["template"].clone()
}

/// The container of the Deployment.
fn container() -> Value {
    let containers = template()["spec"]["containers"].as_array().unwrap().clone();
    assert_eq!(containers.len(), 1);
    containers[0].clone()
}

/// Asserts that every label of a selector is on the pods.
fn selects(selector: &Value) {
    let labels = &template()["metadata"]["labels"];
    let selector = selector.as_object().unwrap();
    assert!(!selector.is_empty());
    for (key, value) in selector {
        assert_eq!(labels[key], *value, "{key}");
    }
}

/// What Kubernetes makes of an object: fields that it does not know are gone.
fn as_read<T: serde::de::DeserializeOwned + serde::Serialize>(object: &Value) -> Value {
    let read: T = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"));
    serde_json::to_value(read).unwrap()
}

#[test]
fn every_object_is_what_kubernetes_takes_and_no_field_is_misspelt() {
    let mut kinds = BTreeMap::new();
    for (file, object) in objects() {
        let kind = object["kind"].as_str().unwrap_or_else(|| panic!("{file}: no kind")).to_owned();
        let read = match kind.as_str() {
            "ServiceAccount" => as_read::<ServiceAccount>(&object),
            "ClusterRole" => as_read::<ClusterRole>(&object),
            "ClusterRoleBinding" => as_read::<ClusterRoleBinding>(&object),
            "ConfigMap" => as_read::<ConfigMap>(&object),
            "Deployment" => as_read::<Deployment>(&object),
            "Service" => as_read::<Service>(&object),
            "PodDisruptionBudget" => as_read::<PodDisruptionBudget>(&object),
            other => panic!("{file}: {other} is not expected here"),
        };
        assert_eq!(read, object, "{file}");
        let cluster_wide = kind.starts_with("ClusterRole");
        let namespace = object["metadata"]["namespace"].as_str();
        assert_eq!(namespace, (!cluster_wide).then_some(NAMESPACE), "{file}: {kind}");
        assert_eq!(kinds.insert(kind, file), None, "one of each kind");
    }
    assert_eq!(kinds.len(), 7, "{kinds:?}");
}

#[test]
fn the_account_has_the_role_and_the_pods_run_under_it() {
    // What the role grants is held against what is asked by tests/watch/rights.rs.
    let account = only("ServiceAccount")["metadata"]["name"].clone();
    let binding = only("ClusterRoleBinding");
    assert_eq!(binding["roleRef"]["kind"], "ClusterRole");
    assert_eq!(binding["roleRef"]["name"], only("ClusterRole")["metadata"]["name"]);
    let subjects = binding["subjects"].as_array().unwrap();
    assert_eq!(subjects.len(), 1);
    assert_eq!(subjects[0]["kind"], "ServiceAccount");
    assert_eq!((&subjects[0]["name"], &subjects[0]["namespace"]), (&account, &Value::from(NAMESPACE)));
    assert_eq!(template()["spec"]["serviceAccountName"], account);
}

#[test]
fn selectors_find_the_pods() {
    let deployment = only("Deployment");
    selects(&deployment["spec"]["selector"]["matchLabels"]);
    selects(&only("Service")["spec"]["selector"]);
    let pod = &template()["spec"];
    for constraint in pod["topologySpreadConstraints"].as_array().unwrap() {
        selects(&constraint["labelSelector"]["matchLabels"]);
    }
    let affinity = &pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    for term in affinity.as_array().unwrap() {
        selects(&term["podAffinityTerm"]["labelSelector"]["matchLabels"]);
    }
    // CoreDNS's own Deployment selects by this; with the same selector each would count the other's pods.
    assert!(deployment["spec"]["selector"]["matchLabels"]["k8s-app"].is_null());
}

#[test]
fn the_service_leads_to_the_ports_of_the_pods() {
    let service = only("Service");
    assert_eq!(service["metadata"]["name"], "kube-dns");
    let ports = container()["ports"].as_array().unwrap().clone();
    let mut seen = Vec::new();
    for port in service["spec"]["ports"].as_array().unwrap() {
        let target = ports.iter().find(|one| one["name"] == port["targetPort"]).unwrap();
        assert_eq!(target["protocol"], port["protocol"], "{port}");
        assert_eq!(target["containerPort"], port["port"], "{port}");
        seen.push(format!("{} {}/{}", port["name"], port["port"], port["protocol"]).replace('"', ""));
    }
    assert_eq!(seen, ["dns 53/UDP", "dns-tcp 53/TCP", "metrics 9153/TCP"]);
    assert_eq!(service["metadata"]["annotations"]["prometheus.io/port"], "9153");
}

#[test]
fn pods_may_do_no_more_than_they_need() {
    let (pod, container) = (template()["spec"].clone(), container());
    let dockerfile = std::fs::read_to_string(path("Dockerfile")).unwrap();
    let user = &pod["securityContext"]["runAsUser"];
    assert!(dockerfile.contains(&format!("\nUSER {user}:{user}\n")), "{user}");
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    // Capabilities do not outlive the start of a binary that carries none, unless the user is root; ports from 0 do.
    let ports = &pod["securityContext"]["sysctls"][0];
    assert_eq!(
        (&ports["name"], &ports["value"]),
        (&"net.ipv4.ip_unprivileged_port_start".into(), &"0".into())
    );
    let context = &container["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["capabilities"]["drop"][0], "ALL");
    assert_eq!(context["capabilities"]["add"], serde_json::json!(["NET_BIND_SERVICE"]));
    assert!(pod["hostNetwork"].is_null());
    // Names of upstreams are the node's: through the cluster's DNS we would ask ourselves.
    assert_eq!(pod["dnsPolicy"], "Default");
    assert!(container["resources"]["limits"]["memory"].is_string());
}

#[test]
fn the_corefile_is_mounted_as_a_folder_where_the_flag_looks_for_it() {
    let container = container();
    let mount = &container["volumeMounts"][0];
    let volumes = template()["spec"]["volumes"].clone();
    let volume = volumes.as_array().unwrap().iter().find(|one| one["name"] == mount["name"]).unwrap();
    assert_eq!(volume["configMap"]["name"], only("ConfigMap")["metadata"]["name"]);
    assert_eq!(volume["configMap"]["items"][0]["key"], "Corefile");
    // A single file is not renewed by the kubelet, so `reload` would never see a change.
    assert!(mount["subPath"].is_null());
    let folder = mount["mountPath"].as_str().unwrap();
    let file = volume["configMap"]["items"][0]["path"].as_str().unwrap();
    assert_eq!(container["args"], serde_json::json!(["-conf", format!("{folder}/{file}")]));
}

/// The Corefile of the ConfigMap.
fn corefile() -> String {
    only("ConfigMap")["data"]["Corefile"].as_str().unwrap().to_owned()
}

#[test]
fn the_corefile_is_kubeadms() {
    let kubeadm = std::fs::read_to_string(path("tests/corefiles/ok/kubeadm.corefile")).unwrap();
    assert_eq!(corefile(), kubeadm);
}

/// A pod whose folders of further Corefiles are empty, as they are before anybody adds one.
struct Empty;

impl Source for Empty {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn files(&self, _: &str, _: &str) -> Result<Vec<(String, String)>, ImportFault> {
        Ok(Vec::new())
    }
}

/// Parts that nothing is ever served from.
struct Bare;

impl Parts for Bare {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        Store::new(wanted, Clock::manual(Wall(0))).0
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        Vec::new()
    }
}

/// The plan of a Corefile; else what is said about it.
fn build(text: &str) -> Result<Plan, String> {
    let spec: Spec = corefile::parse("Corefile", text, &Empty).unwrap();
    let built = chain::build(&spec, BuildOptions { port: 53 }, &mut Bare);
    built.map(|built| built.plan).map_err(|error| error.render())
}

/// Whether this process has what Kubernetes sets in a pod; where it has not, the test is run in one that has.
fn is_in_a_pod(test: &str) -> bool {
    if std::env::var_os(IN_A_POD[0].0).is_some() {
        return true;
    }
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).args(["--exact", test]).envs(IN_A_POD).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

#[test]
fn the_corefile_is_served_word_for_word() {
    if !is_in_a_pod("the_corefile_is_served_word_for_word") {
        return;
    }
    let spec = corefile::parse("Corefile", &corefile(), &Empty).unwrap();
    let words: Vec<&str> =
        spec.blocks.iter().flat_map(|block| &block.directives).map(|line| line.word.text.as_str()).collect();
    assert_eq!(words.len(), 10, "{words:?}");
    build(&corefile()).unwrap();
}

#[test]
fn probes_and_ports_are_where_the_corefile_serves_them() {
    if !is_in_a_pod("probes_and_ports_are_where_the_corefile_serves_them") {
        return;
    }
    let plan = build(&corefile()).unwrap();
    let container = container();
    let probe = |name: &str| {
        let probe = &container[name]["httpGet"];
        (probe["path"].as_str().unwrap().to_owned(), format!(":{}", probe["port"]))
    };
    let health = plan.admin.health.unwrap();
    assert_eq!(probe("livenessProbe"), ("/health".to_owned(), health.addr.clone()));
    assert_eq!(probe("startupProbe"), ("/health".to_owned(), health.addr));
    assert_eq!(probe("readinessProbe"), ("/ready".to_owned(), plan.admin.ready.unwrap().addr));
    let ports = container["ports"].as_array().unwrap().clone();
    let number =
        |name: &str| ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].clone();
    assert_eq!(plan.admin.metrics, [format!(":{}", number("metrics"))]);
    assert!(plan.listeners.iter().all(|listener| number("dns") == listener.addr.port()));
    assert_eq!(number("dns"), number("dns-tcp"));
    assert!(plan.admin.reload.is_some(), "changes of the ConfigMap are followed");
    // After lameduck, connections may take 5 s to end (rule S-05).
    let grace = template()["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace > health.lameduck.as_secs() + 5, "{grace}");
}
