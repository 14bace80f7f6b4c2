//! What the chart renders to (tests/chart/golden, held against the chart by `cargo chart`): Kubernetes takes it, the server
//! reads the Corefiles in it, rights are the least that they need, and config/deploy is the same by hand.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};

use super::digest;
use super::*;

/// Cases whose Corefile holds words or options that this version refuses: read, not built.
const NOT_SERVED: &[(&str, &str)] = &[];

/// A right: group, resource, verb.
type Right = (String, String, String);

/// Every case: its name and its objects.
fn cases() -> Vec<(String, Vec<Value>)> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(path("tests/chart/golden")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if name == "digest" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let documents = serde_saphyr::from_multiple::<Value>(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        cases.push((name, documents.into_iter().filter(|document| !document.is_null()).collect()));
    }
    cases.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(cases.len() >= 10, "{}", cases.len());
    cases
}

/// The objects of one case.
pub(super) fn case(wanted: &str) -> Vec<Value> {
    cases().into_iter().find(|(name, _)| name == wanted).unwrap_or_else(|| panic!("no case {wanted}")).1
}

/// The objects of a kind that are the server's own, not its autoscaler's or its test's.
fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    let own = |object: &&Value| {
        object["kind"] == kind && !object["metadata"]["name"].as_str().unwrap().ends_with("-autoscaler")
    };
    objects.iter().filter(own).collect()
}

/// The Deployment or the DaemonSet.
fn workload(objects: &[Value]) -> &Value {
    let found = of_kind(objects, "Deployment").into_iter().chain(of_kind(objects, "DaemonSet"));
    let found: Vec<&Value> = found.collect();
    assert_eq!(found.len(), 1);
    found[0]
}

/// The Corefile of a case, if it makes one.
pub(super) fn corefile_of(objects: &[Value]) -> Option<String> {
    let maps = of_kind(objects, "ConfigMap");
    maps.iter().find_map(|map| map["data"]["Corefile"].as_str()).map(ToOwned::to_owned)
}

/// A Corefile as it is meant: the words of each line, apart from white space.
fn meaning(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|line: &Vec<&str>| !line.is_empty())
        .collect()
}

#[test]
fn golden_files_belong_to_the_chart_of_today() {
    let kept = std::fs::read_to_string(path(digest::KEPT)).unwrap_or_default();
    assert_eq!(
        kept.trim(),
        digest::of_the_chart(),
        "the chart or tests/chart/values changed: run `UPDATE_GOLDEN=1 cargo chart` and read the difference"
    );
}

#[test]
fn every_rendered_object_is_what_kubernetes_takes() {
    let custom = ["ServiceMonitor"];
    for (name, objects) in cases() {
        let mut seen = BTreeSet::new();
        for object in &objects {
            let kind = object["kind"].as_str().unwrap_or_else(|| panic!("{name}: {object}"));
            let read = match kind {
                "ClusterRole" => as_read::<ClusterRole>(object),
                "ClusterRoleBinding" => as_read::<ClusterRoleBinding>(object),
                "ConfigMap" => as_read::<ConfigMap>(object),
                "DaemonSet" => as_read::<DaemonSet>(object),
                "Deployment" => as_read::<Deployment>(object),
                "HorizontalPodAutoscaler" => as_read::<HorizontalPodAutoscaler>(object),
                "NetworkPolicy" => as_read::<NetworkPolicy>(object),
                "Pod" => as_read::<Pod>(object),
                "PodDisruptionBudget" => as_read::<PodDisruptionBudget>(object),
                "Role" => as_read::<Role>(object),
                "RoleBinding" => as_read::<RoleBinding>(object),
                "Service" => as_read::<Service>(object),
                "ServiceAccount" => as_read::<ServiceAccount>(object),
                other if custom.contains(&other) => object.clone(),
                other => panic!("{name}: {other} is not expected"),
            };
            assert_eq!(read, *object, "{name}: {kind}");
            let cluster_wide = kind.starts_with("ClusterRole");
            let namespace = object["metadata"]["namespace"].as_str();
            assert_eq!(namespace, (!cluster_wide).then_some(NAMESPACE), "{name}: {kind}");
            let own = (kind.to_owned(), object["metadata"]["name"].to_string());
            assert!(seen.insert(own.clone()), "{name}: {own:?} twice");
        }
    }
}

#[test]
fn every_rendered_corefile_is_read_and_built() {
    if !is_in_a_pod("chart::every_rendered_corefile_is_read_and_built") {
        return;
    }
    let mut built = 0;
    for (name, objects) in cases() {
        let Some(text) = corefile_of(&objects) else {
            assert_eq!(name, "replace", "the others make a ConfigMap");
            continue;
        };
        corefile::parse(&name, &text, &Empty).unwrap_or_else(|error| panic!("{name}: {}", error.render()));
        if let Some((_, word)) = NOT_SERVED.iter().find(|(known, _)| *known == name) {
            let error = build(&text).err();
            let error = error.unwrap_or_else(|| panic!("{name} is served now: take it out of NOT_SERVED"));
            assert!(error.contains(word), "{name}: {error}");
        } else {
            build(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            built += 1;
        }
    }
    assert!(built >= 8, "{built}");
}

#[test]
fn the_usual_corefile_is_kubeadms() {
    let kubeadm = std::fs::read_to_string(path("tests/corefiles/ok/kubeadm.corefile")).unwrap();
    let ours = corefile_of(&case("defaults")).unwrap();
    assert_eq!(meaning(&ours), meaning(&kubeadm));
}

#[test]
fn the_example_for_nodes_has_the_corefile_that_ships_for_nodes() {
    let ships = std::fs::read_to_string(path("config/node/Corefile")).unwrap();
    let ships: String = ships
        .lines()
        .filter(|line| !line.trim().starts_with('#'))
        .fold(String::new(), |all, line| all + line + "\n");
    let ours = corefile_of(&case("node-address")).unwrap();
    let ours: Vec<Vec<&str>> = meaning(&ours).into_iter().filter(|line| line[0] != "ready").collect();
    assert_eq!(ours, meaning(&ships));
}

/// What a Corefile reads of an API server, found by our own parser and not by the chart's templates.
fn needed(text: &str) -> BTreeSet<Right> {
    let spec: Spec = corefile::parse("Corefile", text, &Empty).unwrap();
    let mut needed: BTreeSet<(&str, &str)> = BTreeSet::new();
    for directive in spec.blocks.iter().flat_map(|block| &block.directives) {
        let has = |word: &str| directive.lines().iter().any(|line| line.word.text == word);
        match directive.word.text.as_str() {
            "kubernetes" => {
                needed.extend([("", "services"), ("", "namespaces")]);
                if !has("noendpoints") {
                    needed.insert(("discovery.k8s.io", "endpointslices"));
                }
                let verified = |line: &corefile::Directive| {
                    line.word.text == "pods" && line.args.iter().any(|arg| arg.text == "verified")
                };
                if directive.lines().iter().any(verified) {
                    needed.insert(("", "pods"));
                }
                if has("multicluster") {
                    needed.insert(("multicluster.x-k8s.io", "serviceimports"));
                }
            }
            "k8s_external" => {
                if has("ingress") {
                    needed.insert(("networking.k8s.io", "ingresses"));
                }
                if has("gateway") {
                    let routes = ["gateways", "httproutes", "grpcroutes", "tlsroutes"];
                    needed.extend(routes.map(|resource| ("gateway.networking.k8s.io", resource)));
                }
            }
            _ => {}
        }
    }
    let both = |(group, resource): &(&str, &str)| {
        ["list", "watch"].map(|verb| ((*group).to_owned(), (*resource).to_owned(), verb.to_owned()))
    };
    needed.iter().flat_map(both).collect()
}

/// What a role grants.
fn granted(role: &Value) -> BTreeSet<Right> {
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let texts = |field: &str| -> Vec<String> {
            let all = rule[field].as_array().unwrap().iter();
            all.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        for group in texts("apiGroups") {
            for resource in texts("resources") {
                granted
                    .extend(texts("verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    granted
}

#[test]
fn rights_are_what_the_corefile_needs_and_no_more() {
    for (name, objects) in cases() {
        // `replace` has its Corefile in the cluster; `servers`, which says kubeadm's, stands for it.
        let text = corefile_of(&objects).unwrap_or_else(corefile);
        let wanted = needed(&text);
        let roles = of_kind(&objects, "ClusterRole");
        let pod = &workload(&objects)["spec"]["template"]["spec"];
        if name == "exposed" {
            assert!(roles.is_empty() && of_kind(&objects, "ServiceAccount").is_empty(), "somebody else's");
            assert!(pod["automountServiceAccountToken"].is_null() && pod["serviceAccountName"] == "dns");
            continue;
        }
        if wanted.is_empty() {
            assert_eq!((roles.len(), of_kind(&objects, "ClusterRoleBinding").len()), (0, 0), "{name}");
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}: no token where none is needed");
            continue;
        }
        assert_eq!(roles.len(), 1, "{name}");
        assert_eq!(granted(roles[0]), wanted, "{name}");
        let binding = of_kind(&objects, "ClusterRoleBinding")[0];
        assert_eq!(binding["roleRef"]["name"], roles[0]["metadata"]["name"], "{name}");
        let account = of_kind(&objects, "ServiceAccount")[0];
        assert_eq!(binding["subjects"][0]["name"], account["metadata"]["name"], "{name}");
        assert_eq!(pod["serviceAccountName"], account["metadata"]["name"], "{name}");
    }
    // And what ships as plain manifests is the same.
    let plain = [only("ClusterRole")];
    assert_eq!(granted(&plain[0]), granted(of_kind(&case("cluster-dns"), "ClusterRole")[0]));
}

#[test]
fn selectors_of_every_case_find_the_pods_and_only_them() {
    for (name, objects) in cases() {
        let workload = workload(&objects);
        let labels = workload["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
        let finds = |selector: &Value, labels: &serde_json::Map<String, Value>| {
            let selector = selector.as_object().unwrap();
            !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        let mut selectors = vec![&workload["spec"]["selector"]["matchLabels"]];
        selectors.extend(of_kind(&objects, "Service").iter().map(|service| &service["spec"]["selector"]));
        for kind in ["PodDisruptionBudget", "NetworkPolicy"] {
            for object in of_kind(&objects, kind) {
                let field = if kind == "NetworkPolicy" { "podSelector" } else { "selector" };
                selectors.push(&object["spec"][field]["matchLabels"]);
            }
        }
        for selector in selectors {
            assert!(finds(selector, labels), "{name}: {selector}");
            assert!(selector["k8s-app"].is_null(), "{name}: a selector cannot change, this label does");
            // Pods of the test and of the autoscaler answer nobody.
            for other in &objects {
                let pod = match other["kind"].as_str() {
                    Some("Pod") => &other["metadata"],
                    Some("Deployment") if other != workload => &other["spec"]["template"]["metadata"],
                    _ => continue,
                };
                assert!(
                    !finds(selector, pod["labels"].as_object().unwrap()),
                    "{name}: {selector} finds {pod}"
                );
            }
        }
        let joins = labels["k8s-app"] == "kube-dns";
        assert_eq!(
            joins,
            !["beside", "exposed", "node-address"].contains(&name.as_str()),
            "{name}: kube-dns selects it"
        );
    }
}

#[test]
fn services_probes_and_policies_lead_to_ports_that_are_there() {
    if !is_in_a_pod("chart::services_probes_and_policies_lead_to_ports_that_are_there") {
        return;
    }
    for (name, objects) in cases() {
        let pod = &workload(&objects)["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let ports = container["ports"].as_array().unwrap();
        for service in of_kind(&objects, "Service") {
            for port in service["spec"]["ports"].as_array().unwrap() {
                let target = ports.iter().find(|one| one["name"] == port["targetPort"]);
                assert_eq!(target.map(|one| &one["protocol"]), Some(&port["protocol"]), "{name}: {port}");
            }
        }
        let Some(text) = corefile_of(&objects) else { continue };
        if NOT_SERVED.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let plan = build(&text).unwrap();
        let behind = |addr: &str| addr.rsplit(':').next().unwrap().to_owned();
        let probed = |probe: &str| container[probe]["httpGet"]["port"].to_string();
        let health = plan.admin.health.unwrap();
        assert_eq!(probed("livenessProbe"), behind(&health.addr), "{name}");
        assert_eq!(probed("startupProbe"), behind(&health.addr), "{name}");
        for probe in ["livenessProbe", "startupProbe"] {
            let host = container[probe]["httpGet"]["host"].as_str().unwrap_or_default();
            assert_eq!(host, health.addr.rsplit_once(':').unwrap().0, "{name}: where the kubelet has to ask");
        }
        assert_eq!(probed("readinessProbe"), behind(&plan.admin.ready.unwrap().addr), "{name}");
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > health.lameduck.as_secs() + 5, "{name}: {grace}");
        let numbers: BTreeSet<u64> =
            ports.iter().map(|port| port["containerPort"].as_u64().unwrap()).collect();
        for listener in &plan.listeners {
            assert!(numbers.contains(&u64::from(listener.addr.port())), "{name}: {}", listener.addr);
        }
        for metrics in &plan.admin.metrics {
            assert!(numbers.contains(&behind(metrics).parse().unwrap()), "{name}: {metrics}");
        }
        for policy in of_kind(&objects, "NetworkPolicy") {
            let rules = policy["spec"]["ingress"].as_array().unwrap();
            let open: BTreeSet<String> = rules
                .iter()
                .flat_map(|rule| rule["ports"].as_array().unwrap())
                .map(|port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap()))
                .collect();
            let wanted = ["53/UDP", "53/TCP", "9153/TCP", "8080/TCP", "8181/TCP"];
            assert_eq!(open, wanted.map(ToOwned::to_owned).into(), "{name}");
        }
    }
}

#[test]
fn every_case_is_closed_in() {
    for (name, objects) in cases() {
        let pod = &workload(&objects)["spec"]["template"]["spec"];
        let context = &pod["containers"][0]["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(context["capabilities"]["add"], serde_json::json!(["NET_BIND_SERVICE"]), "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert!(pod["containers"][0]["resources"]["limits"]["memory"].is_string(), "{name}");
        assert_eq!(pod["dnsPolicy"], if name == "exposed" { "None" } else { "Default" }, "{name}");
        // Only the node's own port 53 needs root, and then the sysctl of pods is not set.
        let host = pod["hostNetwork"] == true;
        assert_eq!(host, name == "node-address", "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], !host, "{name}");
        assert_eq!(pod["securityContext"]["sysctls"].is_null(), host, "{name}");
        let update = &workload(&objects)["spec"];
        let rolling =
            if update["strategy"].is_null() { &update["updateStrategy"] } else { &update["strategy"] };
        let loses_none = rolling["rollingUpdate"]["maxUnavailable"] == 0;
        assert_eq!(
            loses_none,
            !["node-address", "coredns-values", "coredns-whole"].contains(&name.as_str()),
            "{name}"
        );
    }
}

#[test]
fn a_budget_for_disruptions_says_one_thing() {
    for (name, objects) in cases() {
        let budgets = of_kind(&objects, "PodDisruptionBudget");
        let none = ["node", "node-address", "beside"].contains(&name.as_str());
        assert_eq!(budgets.len(), usize::from(!none), "{name}");
        for budget in budgets {
            let spec = budget["spec"].as_object().unwrap();
            let said =
                ["minAvailable", "maxUnavailable"].iter().filter(|field| spec.contains_key(**field)).count();
            assert_eq!(said, 1, "{name}: {spec:?}");
        }
    }
}

#[test]
fn replicas_are_left_to_whoever_scales() {
    for name in ["hpa", "autoscaler"] {
        assert!(workload(&case(name))["spec"]["replicas"].is_null(), "{name}");
    }
    assert_eq!(workload(&case("defaults"))["spec"]["replicas"], 2);
    let objects = case("autoscaler");
    let role = objects.iter().find(|object| object["kind"] == "Role").unwrap();
    for rule in role["rules"].as_array().unwrap() {
        assert_eq!(rule["resourceNames"].as_array().map(Vec::len), Some(1), "by name alone: {rule}");
    }
}

/// An object without what Helm adds.
fn plain(object: &Value) -> Value {
    const HELMS: [&str; 4] = [
        "app.kubernetes.io/instance",
        "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by",
        "helm.sh/chart",
    ];
    match object {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !HELMS.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[test]
fn config_deploy_is_what_the_chart_makes_for_a_cluster_without_dns() {
    let rendered = case("cluster-dns");
    for (file, by_hand) in objects() {
        let kind = by_hand["kind"].as_str().unwrap();
        let mut same = rendered.iter().filter(|object| {
            object["kind"] == kind && object["metadata"]["name"] == by_hand["metadata"]["name"]
        });
        let object = same.next().unwrap_or_else(|| panic!("{file}: the chart makes no such {kind}"));
        let (mut by_chart, mut by_hand) = (plain(object), plain(&by_hand));
        if kind == "ConfigMap" {
            let text = |object: &Value| object["data"]["Corefile"].as_str().unwrap().to_owned();
            assert_eq!(meaning(&text(&by_chart)), meaning(&text(&by_hand)));
            by_chart["data"] = Value::Null;
            by_hand["data"] = Value::Null;
        }
        // A plain manifest is found by its file, so it needs no label to be found by.
        for object in [&mut by_chart, &mut by_hand] {
            if let Some(Value::Object(labels)) = object.pointer_mut("/metadata/labels") {
                labels.remove("app.kubernetes.io/name");
                if labels.is_empty() {
                    object["metadata"].as_object_mut().unwrap().remove("labels");
                }
            }
        }
        if kind == "Service" {
            // Scrapes of the Service alone are for clusters without the operator; the type is the usual one.
            by_hand["metadata"].as_object_mut().unwrap().remove("annotations");
            by_chart["spec"].as_object_mut().unwrap().remove("type");
            // The Service that a cluster has selects by this label, and both may stand side by side.
            assert_eq!(by_hand["spec"]["selector"], serde_json::json!({"k8s-app": "kube-dns"}));
            by_chart["spec"]["selector"] = by_hand["spec"]["selector"].clone();
        }
        if kind == "ClusterRole" {
            assert_eq!(granted(&by_chart), granted(&by_hand));
            continue;
        }
        assert_eq!(by_chart, by_hand, "{file}: {kind}");
    }
}

#[test]
fn the_memory_limit_is_by_the_formula_unless_it_is_written() {
    let resources =
        |name: &str| workload(&case(name))["spec"]["template"]["spec"]["containers"][0]["resources"].clone();
    // 24 + 10 + (10,000 * 1.5 + 50,000 * 0.25) / 1024, rounded up; twice that.
    assert_eq!(resources("defaults")["requests"]["memory"], "61Mi");
    assert_eq!(resources("defaults")["limits"]["memory"], "122Mi");
    // 24 + 10 + (300 * 1.5 + 2,000 * 0.25) / 1024.
    assert_eq!(resources("beside")["limits"]["memory"], "70Mi");
    assert_eq!(resources("replace")["limits"]["memory"], "256Mi");
    assert_eq!(resources("replace")["requests"]["memory"], "256Mi");
    assert_eq!(resources("coredns-values")["limits"], serde_json::json!({"cpu": "100m", "memory": "128Mi"}));
}

#[test]
fn every_value_of_the_coredns_chart_comes_through() {
    let objects = case("coredns-whole");
    let found = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let scrape = &found("ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!((&scrape["scheme"], &scrape["honorLabels"]), (&"http".into(), &true.into()), "{scrape}");
    assert_eq!(scrape["tlsConfig"]["insecureSkipVerify"], true);
    assert_eq!(scrape["relabelings"][0]["targetLabel"], "cluster");
    assert_eq!(scrape["metricRelabelings"][0]["action"], "drop");
    let workload = workload(&objects);
    assert_eq!(workload["spec"]["template"]["metadata"]["labels"]["example.com/tier"], "dns");
    assert!(workload["metadata"]["labels"]["example.com/tier"].is_null(), "of the pods alone");
    let wanted =
        serde_json::json!({"app.kubernetes.io/name": "signpost", "app.kubernetes.io/instance": "signpost"});
    assert_eq!(workload["spec"]["selector"]["matchLabels"], wanted);
    let is_scaler = |object: &&Value| {
        object["kind"] == "Deployment"
            && object["metadata"]["name"].as_str().unwrap().ends_with("-autoscaler")
    };
    let pod = &objects.iter().find(is_scaler).unwrap()["spec"]["template"]["spec"];
    let scaler = &pod["containers"][0];
    let flag = "--nodelabels=topology.kubernetes.io/zone=a";
    assert!(scaler["command"].as_array().unwrap().iter().any(|word| word == flag), "{scaler}");
    assert_eq!(scaler["livenessProbe"]["httpGet"]["path"], "/healthz");
    // What it says is added to what the chart says, as Helm merges maps.
    let context = &scaler["securityContext"];
    assert_eq!((&context["privileged"], &context["capabilities"]["drop"][0]), (&false.into(), &"ALL".into()));
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["containers"][1]["name"], "beside");
    // A block that names neither zones nor port.
    assert!(corefile_of(&objects).unwrap().trim_start().starts_with(".:53 {"));
}

#[test]
fn the_image_has_the_version_of_the_server() {
    let image = container()["image"].clone();
    assert_eq!(image, format!("localhost/signpost:{}", env!("CARGO_PKG_VERSION")));
    let chart = std::fs::read_to_string(path("charts/signpost/Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_dockerfile_builds_what_cargo_image_builds() {
    let dockerfile = std::fs::read_to_string(path("Dockerfile")).unwrap();
    let image = std::fs::read_to_string(path("benches/image/main.rs")).unwrap();
    for flag in [
        "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs",
        "x86_64-unknown-linux-gnu",
        "aarch64-unknown-linux-gnu",
        "aarch64-linux-gnu-gcc",
        "x86_64-linux-gnu-gcc",
    ] {
        assert!(dockerfile.contains(flag) && image.contains(flag), "{flag}");
    }
    assert!(dockerfile.contains("cargo build --locked --profile dist --bin signpost --target"));
    let image = image.split_whitespace().collect::<String>();
    assert!(image.contains(r#""build","--locked","--profile","dist","--bin","signpost","--target""#));
    // The last stage is what is pushed: nothing but the binary.
    let last = dockerfile.rsplit("\nFROM ").next().unwrap();
    assert!(last.starts_with("scratch\n") && last.matches("COPY ").count() == 1, "{last}");
}

/// The paths of all values that are no maps, or empty ones, of `values.yaml`.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value.as_object() {
        Some(map) if !map.is_empty() => {
            for (key, value) in map {
                leaves(value, &format!("{path}.{key}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

#[test]
fn no_value_is_taken_and_ignored() {
    let mut templates = String::new();
    for folder in ["charts/signpost/templates", "charts/signpost/templates/tests"] {
        for entry in std::fs::read_dir(path(folder)).unwrap() {
            let file = entry.unwrap().path();
            if file.is_file() {
                templates.push_str(&std::fs::read_to_string(file).unwrap());
            }
        }
    }
    let values = std::fs::read_to_string(path("charts/signpost/values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&values).unwrap();
    let mut found = Vec::new();
    leaves(&values, ".Values", &mut found);
    assert!(found.len() > 120, "{}", found.len());
    // Used as it is, or as part of a map that is used as a whole.
    let whole = |path: &str| {
        templates.match_indices(path).any(|(at, _)| {
            !templates[at + path.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        })
    };
    let used = |path: &&String| {
        let mut prefix = path.as_str();
        while !whole(prefix) {
            match prefix.rsplit_once('.') {
                Some((shorter, _)) if shorter != ".Values" => prefix = shorter,
                _ => return false,
            }
        }
        true
    };
    let ignored: Vec<&String> = found.iter().filter(|path| !used(path)).collect();
    assert!(ignored.is_empty(), "{ignored:?}");
}

#[test]
fn values_that_the_documents_set_are_known_to_the_schema() {
    let schema = std::fs::read_to_string(path("charts/signpost/values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut set = 0;
    for document in [
        "README.md",
        "charts/signpost/README.md",
        "docs/migrate.md",
        "docs/operate.md",
        "docs/scale.md",
        "docs/release.md",
    ] {
        let text = std::fs::read_to_string(path(document)).unwrap();
        for (_, rest) in text.match_indices("--set ").map(|(at, word)| text[at..].split_at(word.len())) {
            let list = rest.split([' ', '\n', '`']).next().unwrap();
            for name in list.split(',').map(|one| one.split('=').next().unwrap()) {
                let mut at = &schema;
                for part in name.split('.') {
                    at = &at["properties"][part];
                    assert!(at.is_object(), "{document}: --set {name}: no value {part}");
                }
                set += 1;
            }
        }
    }
    assert!(set >= 10, "{set}");
}
