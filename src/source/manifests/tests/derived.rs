//! Tests of what is derived: endpoints from v1 Endpoints and Pods, Namespaces, and what a selector leaves.

use super::*;
use crate::source::selector::Selector;
use crate::store::change::Protocol;

/// A Service `web` in `shop` whose selector is `app: web`.
const WEB: &str = "kind: Service\nmetadata: {name: web, namespace: shop, labels: {team: a}}\nspec:\n  clusterIP: 10.96.0.1\n  selector: {app: web}\n  ports: [{name: http, port: 80, targetPort: http}, {name: admin, port: 81, targetPort: 9000}]\n";

/// A Pod in `shop` with the labels of `web`; `more` are further lines of it.
fn pod(name: &str, ip: &str, port: u16, more: &str) -> String {
    format!(
        "---\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: web, x: y}}}}\nspec:\n  hostname: {name}\n  subdomain: web\n  containers: [{{ports: [{{name: http, containerPort: {port}}}]}}]\nstatus:\n  podIPs: [{{ip: {ip}}}]\n{more}"
    )
}

#[test]
fn pods_that_a_selector_matches_are_endpoints() {
    let text = [
        WEB.to_owned(),
        pod("a", "10.244.0.1", 8080, ""),
        pod("b", "10.244.0.2", 8080, "  phase: Running\n  conditions: [{type: Ready, status: 'True'}]\n"),
        pod("c", "10.244.0.3", 8443, ""),
        pod("sick", "10.244.0.4", 8080, "  conditions: [{type: Ready, status: 'False'}]\n"),
        pod("young", "10.244.0.5", 8080, "  conditions: [{type: PodScheduled, status: 'True'}]\n"),
        pod("done", "10.244.0.6", 8080, "  phase: Succeeded\n"),
        pod("other", "10.244.0.7", 8080, "").replace("app: web", "app: other"),
        pod("far", "10.244.0.8", 8080, "").replace("namespace: shop", "namespace: far"),
        pod("going", "10.244.0.9", 8080, "")
            .replace("x: y}", "x: y}, deletionTimestamp: '2024-01-01T00:00:00Z'"),
    ];
    let (bench, report) = Bench::of("a.yaml", &text.concat());
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(bench.endpoints("shop", "web"), ["10.244.0.1 a", "10.244.0.2 b", "10.244.0.3 c"]);
    let slices = bench.slices("shop", "web");
    let ports: Vec<_> = slices
        .iter()
        .map(|slice| slice.ports.iter().map(|port| (&*port.name, port.port)).collect::<Vec<_>>())
        .collect();
    assert_eq!(
        ports,
        [[("http", Some(8080)), ("admin", Some(9000))], [("http", Some(8443)), ("admin", Some(9000))]]
    );
    assert_eq!(&*slices[0].endpoints[0].target, "a");
}

#[test]
fn a_pod_without_the_named_port_keeps_its_others() {
    let text = [WEB.to_owned(), pod("a", "10.244.0.1", 8080, "").replace("name: http", "name: grpc")];
    let (bench, _) = Bench::of("a.yaml", &text.concat());
    let ports: Vec<_> = bench.slices("shop", "web")[0].ports.iter().map(|port| &*port.name).collect();
    assert_eq!(ports, ["admin"]);
}

#[test]
fn pods_that_are_not_ready_are_published_where_the_service_says_so() {
    let service = WEB.replace("spec:\n", "spec:\n  publishNotReadyAddresses: true\n");
    let text = [service, pod("a", "10.244.0.4", 8080, "  conditions: [{type: Ready, status: 'False'}]\n")];
    let (bench, _) = Bench::of("a.yaml", &text.concat());
    assert_eq!(bench.endpoints("shop", "web"), ["10.244.0.4 a"]);
}

#[test]
fn a_pods_name_belongs_to_the_service_of_its_subdomain() {
    let text = [WEB.to_owned(), pod("a", "10.244.0.1", 8080, "").replace("subdomain: web", "subdomain: db")];
    let (bench, _) = Bench::of("a.yaml", &text.concat());
    assert_eq!(bench.endpoints("shop", "web"), ["10.244.0.1"]);
}

#[test]
fn the_families_of_a_service_choose_among_a_pods_addresses() {
    let pods = pod("a", "10.244.0.1}, {ip: 'fd00::1'", 8080, "");
    let (bench, _) = Bench::of("a.yaml", &(WEB.to_owned() + &pods));
    assert_eq!(bench.endpoints("shop", "web"), ["10.244.0.1 a", "fd00::1 a"]);
    let service = WEB.replace("spec:\n", "spec:\n  ipFamilies: [IPv6]\n");
    let (bench, _) = Bench::of("a.yaml", &(service + &pods));
    assert_eq!(bench.endpoints("shop", "web"), ["fd00::1 a"]);
}

#[test]
fn endpoints_win_over_pods_and_slices_over_endpoints() {
    let endpoints = "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: web, namespace: shop}\nsubsets:\n- addresses: [{ip: 10.244.1.1, hostname: one, targetRef: {kind: Pod, name: web-1}}, {ip: 10.244.1.2}]\n  notReadyAddresses: [{ip: 10.244.1.3}]\n  ports: [{name: http, port: 8080}]\n- addresses: [{ip: 10.244.1.4}]\n  ports: [{port: 53, protocol: UDP}]\n";
    let text = WEB.to_owned() + &pod("a", "10.244.0.1", 8080, "") + endpoints;
    let (mut bench, report) = Bench::of("a.yaml", &text);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(bench.endpoints("shop", "web"), ["10.244.1.1 one", "10.244.1.2", "10.244.1.4"]);
    let slices = bench.slices("shop", "web");
    assert_eq!((&*slices[0].endpoints[0].target, slices[1].ports[0].protocol), ("web-1", Protocol::Udp));

    bench.write("b.yaml", "kind: EndpointSlice\napiVersion: discovery.k8s.io/v1\nmetadata: {name: web-x, namespace: shop, labels: {kubernetes.io/service-name: web}}\nendpoints: [{addresses: [10.244.2.1], conditions: {ready: false}}]\n");
    bench.look();
    assert_eq!(bench.slices("shop", "web").len(), 1);
    assert!(bench.endpoints("shop", "web").is_empty(), "a slice counts, even without ready endpoints");

    let published =
        text.replace("spec:\n  clusterIP", "spec:\n  publishNotReadyAddresses: true\n  clusterIP");
    let (bench, _) = Bench::of("a.yaml", &published);
    assert_eq!(bench.endpoints("shop", "web"), ["10.244.1.1 one", "10.244.1.2", "10.244.1.3", "10.244.1.4"]);
}

#[test]
fn endpoints_without_their_service_are_nothing_and_orphan_slices_are_fed() {
    let text = "kind: Endpoints\nmetadata: {name: lock}\nsubsets: [{addresses: [{ip: 10.0.0.1}]}]\n---\nkind: EndpointSlice\nmetadata: {name: x, labels: {kubernetes.io/service-name: gone}}\nendpoints: [{addresses: [10.0.0.2]}]\n";
    let (bench, report) = Bench::of("a.yaml", text);
    assert_eq!(report.counts.slices, 1);
    assert_eq!(bench.endpoints("default", "gone"), ["10.0.0.2"]);
}

#[test]
fn slices_without_service_and_slices_of_host_names_are_problems() {
    let text = "kind: EndpointSlice\nmetadata: {name: x, namespace: shop}\nendpoints: [{addresses: [10.0.0.2]}]\n---\nkind: EndpointSlice\nmetadata: {name: y, labels: {kubernetes.io/service-name: web}}\naddressType: FQDN\nendpoints: [{addresses: [example.com]}]\n";
    let (bench, report) = Bench::of("a.yaml", text);
    assert_eq!(
        lines(&bench, &report),
        [
            "a.yaml:1: EndpointSlice shop/x: label kubernetes.io/service-name is missing, so its endpoints belong to no Service",
            "a.yaml:5: document 2: EndpointSlice default/y: addressType FQDN is not supported: its endpoints are left out",
        ]
    );
    assert_eq!(report.counts.slices, 0);
}

#[test]
fn a_service_without_an_address_is_fed_and_named() {
    let text = "kind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n---\nkind: Service\nmetadata: {name: bad}\nspec: {clusterIP: 10.96.0.300}\n";
    let (bench, report) = Bench::of("a.yaml", text);
    assert_eq!(bench.service("default", "web").unwrap().spec, ServiceSpec::Cluster(Vec::new()));
    assert_eq!(
        lines(&bench, &report),
        [
            "a.yaml:1: Service default/web: has no spec.clusterIP and none is invented: its name has no address (use clusterIP: None if it is headless)",
            r#"a.yaml:5: document 2: Service default/bad: spec.clusterIP: "10.96.0.300" is not an IP address"#,
        ]
    );
}

#[test]
fn namespaces_are_those_that_are_written_and_those_that_objects_live_in() {
    let text = "kind: Namespace\nmetadata: {name: data, labels: {env: test}}\n---\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: None}\n---\nkind: Pod\nmetadata: {name: p, namespace: jobs}\n";
    let (mut bench, _) = Bench::of("a.yaml", text);
    assert_eq!(bench.namespaces(), ["data", "default", "jobs"]);
    let Some(Object::Namespace(data)) =
        bench.sink.objects.get(&(Kind::Namespaces, ObjectKey::new("", "data")))
    else {
        panic!("no namespace")
    };
    let labels: Vec<_> = data.labels.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(labels, [("env", "test"), ("kubernetes.io/metadata.name", "data")]);
    // The same Namespace in another file is no mistake, another one of its name is.
    bench.write("b.yaml", "kind: Namespace\nmetadata: {name: data, labels: {env: test}}\n");
    assert!(bench.look().problems.is_empty());
    bench.write("b.yaml", "kind: Namespace\nmetadata: {name: data, labels: {env: other}}\n");
    assert_eq!(bench.look().problems.len(), 1);
}

#[test]
fn labels_choose_services_slices_and_pods() {
    let text = [
        WEB.to_owned(),
        WEB.replace("name: web", "name: api").replace("team: a", "team: b"),
        pod("a", "10.244.0.1", 8080, ""),
        "---\nkind: EndpointSlice\nmetadata: {name: api-1, namespace: shop, labels: {kubernetes.io/service-name: api}}\nendpoints: [{addresses: [10.0.0.1]}]\n".to_owned(),
    ];
    let mut bench = Bench::with(|options| options.labels = Some(Selector::parse("team=a").unwrap()));
    bench.write("a.yaml", &text.join("---\n"));
    let report = bench.look();
    assert_eq!((report.counts.services, report.counts.slices, report.counts.pods), (1, 1, 0));
    assert_eq!(bench.endpoints("shop", "web"), ["10.244.0.1 a"], "they follow their Service");
    assert_eq!(bench.namespaces(), ["shop"]);
}

#[test]
fn kinds_that_are_not_wanted_are_not_fed() {
    let mut bench = Bench::with(|options| (options.pods, options.endpoints) = (false, false));
    bench.write("a.yaml", &(WEB.to_owned() + &pod("a", "10.244.0.1", 8080, "")));
    let report = bench.look();
    assert_eq!((report.counts.services, report.counts.slices, report.counts.pods), (1, 0, 0));
}

#[test]
fn the_demo_has_no_problems() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/demo");
    let mut sink = Recorder::default();
    let mut manifests =
        Manifests::new(ManifestsOptions { dir, labels: None, more: Vec::new(), pods: true, endpoints: true });
    let report = manifests.look(&mut sink);
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert!(report.counts.services >= 10 && report.counts.slices >= 8, "{:?}", report.counts);
}
