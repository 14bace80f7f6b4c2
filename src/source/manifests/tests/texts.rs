//! Tests of what a file may hold: YAML, JSON, lists, several documents, and mistakes in them.

use super::*;

/// `kubectl get service,endpointslice -o yaml`, cut only in its numbers.
const KUBECTL_LIST: &str = r#"apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"v1","kind":"Service","metadata":{"name":"web"}}
    creationTimestamp: "2024-05-01T10:00:00Z"
    labels:
      app: web
    managedFields:
    - apiVersion: v1
      fieldsType: FieldsV1
      fieldsV1:
        f:spec: {}
      manager: kubectl
    name: web
    namespace: shop
    resourceVersion: "123"
    uid: 7b6cbb1c-0b0e-4f0e-9d5a-111111111111
  spec:
    clusterIP: 10.96.10.1
    clusterIPs:
    - 10.96.10.1
    - fd00:10:96::1
    internalTrafficPolicy: Cluster
    ipFamilies:
    - IPv4
    - IPv6
    ports:
    - name: http
      port: 80
      protocol: TCP
      targetPort: 8080
    selector:
      app: web
    type: ClusterIP
  status:
    loadBalancer: {}
- addressType: IPv4
  apiVersion: discovery.k8s.io/v1
  endpoints:
  - addresses:
    - 10.244.1.5
    conditions:
      ready: true
      serving: true
      terminating: false
    nodeName: worker-1
    targetRef:
      kind: Pod
      name: web-5d8c-abcde
      namespace: shop
    zone: eu-1a
  kind: EndpointSlice
  metadata:
    annotations:
      endpoints.kubernetes.io/last-change-trigger-time: "2024-02-29T12:00:00Z"
    labels:
      kubernetes.io/service-name: web
    name: web-x7k2p
    namespace: shop
  ports:
  - name: http
    port: 8080
    protocol: TCP
kind: List
metadata:
  resourceVersion: ""
"#;

#[test]
fn the_output_of_kubectl_is_read() {
    let (bench, report) = Bench::of("dump.yaml", KUBECTL_LIST);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let service = bench.service("shop", "web").unwrap();
    assert_eq!(
        service.spec,
        ServiceSpec::Cluster(vec!["10.96.10.1".parse().unwrap(), "fd00:10:96::1".parse().unwrap()])
    );
    assert_eq!(
        (&*service.revision.uid, &*service.revision.version),
        ("7b6cbb1c-0b0e-4f0e-9d5a-111111111111", "123")
    );
    let slices = bench.slices("shop", "web");
    assert_eq!(slices.len(), 1);
    assert_eq!(slices[0].triggered, Some(1_709_208_000_000_000_000));
    assert_eq!((&*slices[0].endpoints[0].target, &*slices[0].endpoints[0].zone), ("web-5d8c-abcde", "eu-1a"));
}

#[test]
fn json_lists_give_their_items_version_and_kind() {
    let text = r#"{"kind":"ServiceList","apiVersion":"v1","items":[
        {"metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"10.96.0.1"}}]}
        {"kind":"ConfigMapList","apiVersion":"v1","items":[{"metadata":{"name":"x"}}]}
        {"kind":"Service","apiVersion":"v1","metadata":{"name":"api"},"spec":{"clusterIP":"10.96.0.2"}}"#;
    let (bench, report) = Bench::of("dump.json", text);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(bench.address("shop", "web").as_deref(), Some("10.96.0.1"));
    assert_eq!(bench.address("default", "api").as_deref(), Some("10.96.0.2"));
}

#[test]
fn json_that_breaks_is_named_with_its_place_and_keeps_what_is_before() {
    let text = "{\"kind\":\"Service\",\"metadata\":{\"name\":\"api\"},\"spec\":{\"clusterIP\":\"10.96.0.2\"}}\n\n{\"kind\": oops}\n";
    let (bench, report) = Bench::of("dump.json", text);
    assert_eq!(lines(&bench, &report), ["dump.json:3:10: document 2: JSON: expected value"]);
    assert!(bench.service("default", "api").is_some());
}

#[test]
fn yaml_documents_are_split_where_yaml_splits_them() {
    let text = "\u{feff}# first\n%YAML 1.2\n---\nkind: Namespace\nmetadata: {name: one}\n...\n# nothing\n---\n# comments only\n--- # two\r\nkind: Namespace\r\nmetadata: {name: two}\r\n--- {kind: Namespace, metadata: {name: three}}\n---\n---\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  text: |\n    ---\n    kind: Namespace\n";
    let (bench, report) = Bench::of("a.yaml", text);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(bench.namespaces(), ["one", "three", "two"]);
}

#[test]
fn a_mistake_is_named_with_its_own_line() {
    let text =
        "kind: Namespace\nmetadata: {name: one}\n---\nkind: Namespace\nmetadata:\n  name: two\n bad: x\n";
    let (bench, report) = Bench::of("a.yaml", text);
    assert_eq!(report.problems.len(), 1);
    let problem = &report.problems[0];
    assert_eq!((problem.line, problem.document), (Some(7), Some(2)), "{problem}");
    assert_eq!(bench.namespaces(), ["one"]);
}

#[test]
fn documents_that_are_no_objects_are_problems() {
    let text = "just text\n---\n- a\n- b\n---\nreplicas: 3\n---\nkind: {{ .Values.kind }}\nname: {{ include \"x\" . }}\n";
    let (bench, report) = Bench::of("a.yaml", text);
    let lines = lines(&bench, &report);
    assert_eq!(lines[0], "a.yaml:1: is a text, not an object of Kubernetes");
    assert_eq!(lines[1], "a.yaml:3: document 2: is a list, not an object of Kubernetes");
    assert_eq!(lines[2], "a.yaml:6: document 3: is a record without kind, not an object of Kubernetes");
    assert!(lines[3].contains("looks like a template"), "{lines:?}");
    assert_eq!(lines.len(), 4);
}

#[test]
fn unknown_kinds_are_passed_over_and_unknown_versions_are_named() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n---\napiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: fn}\n---\napiVersion: v7\nkind: Service\nmetadata: {name: web}\n---\napiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\nendpoints: [{addresses: [10.0.0.1]}]\n";
    let (bench, report) = Bench::of("a.yaml", text);
    assert_eq!(
        lines(&bench, &report),
        [r#"a.yaml:9: document 3: Service default/web: apiVersion "v7" is not known and not read"#]
    );
    assert_eq!(bench.endpoints("default", "web"), ["10.0.0.1"]);
}

#[test]
fn an_alias_bomb_is_refused_quickly() {
    let mut text = String::from("kind: ConfigMap\na: &a [x,x,x,x,x,x,x,x,x]\n");
    for (name, before) in ('b'..='j').zip('a'..) {
        text.push_str(&format!("{name}: &{name} [*{before},*{before},*{before},*{before},*{before},*{before},*{before},*{before},*{before}]\n"));
    }
    text.push_str("---\nkind: Namespace\nmetadata: {name: one}\n");
    let (bench, report) = Bench::of("a.yaml", &text);
    assert_eq!(
        lines(&bench, &report),
        ["a.yaml:6:8: YAML: it costs more to read than a document may (RecordedAnchorEvents)"]
    );
    assert_eq!(bench.namespaces(), ["one"]);
}

#[test]
fn aliases_of_long_texts_and_keys_that_come_twice_are_refused() {
    let long = format!("kind: ConfigMap\na: &a {}\nb: [{}]\n", "x".repeat(200_000), ["*a"; 900].join(","));
    let (_, report) = Bench::of("a.yaml", &long);
    assert!(report.problems[0].to_string().contains("than a document may"), "{}", report.problems[0]);
    let (bench, report) = Bench::of("a.yaml", "kind: Service\nkind: Pod\n");
    assert_eq!(lines(&bench, &report), ["a.yaml:2:1: YAML: duplicate mapping key: kind"]);
}

#[test]
fn deep_nesting_is_refused() {
    for (name, text) in [
        ("a.yaml", format!("kind: {}{}\n", "[".repeat(100_000), "]".repeat(100_000))),
        ("a.json", format!("{{\"kind\": {}", "[".repeat(100_000))),
        ("b.yaml", (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
    ] {
        let (_, report) = Bench::of(name, &text);
        assert_eq!(report.problems.len(), 1, "{name}");
        assert!(report.problems[0].to_string().len() < 400, "{}", report.problems[0]);
    }
    let mut list = "{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"one\"}}".to_owned();
    for _ in 0..6 {
        list = format!("{{\"kind\":\"List\",\"items\":[{list}]}}");
    }
    let (bench, report) = Bench::of("a.json", &list);
    assert!(report.problems[0].to_string().ends_with("lists lie more than 4 deep and are not read"));
    assert!(bench.namespaces().is_empty());
}

#[test]
fn words_that_old_yaml_takes_for_flags_are_texts() {
    let (bench, report) = Bench::of(
        "a.yaml",
        "kind: Namespace\nmetadata: {name: no}\n---\nkind: Namespace\nmetadata: {name: on}\n",
    );
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(bench.namespaces(), ["no", "on"]);
}

#[test]
fn bytes_that_are_no_text_are_a_problem() {
    let mut bench = Bench::new();
    fs::write(bench.path("a.yaml"), b"kind: x\n\xff\n").unwrap();
    let report = bench.look();
    assert_eq!(lines(&bench, &report), ["a.yaml:2: is not UTF-8 text"]);
}

#[test]
fn a_large_list_in_yaml_is_read() {
    let mut text = String::from("apiVersion: v1\nkind: ServiceList\nitems:\n");
    for at in 0..5_000 {
        text.push_str(&format!("- metadata: {{name: s{at}, namespace: shop, labels: {{a: b, c: d, e: f, g: h}}}}\n  spec: {{clusterIP: 10.{}.{}.1, ports: [{{name: http, port: 80, protocol: TCP, targetPort: 8080}}], selector: {{app: s{at}}}}}\n", at / 250, at % 250));
    }
    let (_, report) = Bench::of("a.yaml", &text);
    assert_eq!((report.counts.services, report.problems.len()), (5_000, 0), "{:?}", report.problems.first());
}

/// An Ingress, a route in an old version and an import, and an Ingress in a version that nobody reads any more.
const MORE: &str = "\
{kind: Ingress, apiVersion: networking.k8s.io/v1, metadata: {name: site, namespace: shop}, spec: {rules: [{host: a.example.org}]}}
---
{kind: TLSRoute, apiVersion: gateway.networking.k8s.io/v1alpha2, metadata: {name: tls, namespace: shop}, spec: {hostnames: [b.example.org]}}
---
{kind: ServiceImport, apiVersion: multicluster.x-k8s.io/v1alpha1, metadata: {name: api, namespace: shop}, spec: {type: Headless}}
---
{kind: Ingress, apiVersion: networking.k8s.io/v1beta1, metadata: {name: old, namespace: shop}, spec: {rules: 7}}
---
{kind: Ingress, apiVersion: ingress.example.org/v1, metadata: {name: other, namespace: shop}, spec: 7}
";

#[test]
fn kinds_that_nobody_asked_for_are_passed_over_however_broken() {
    let (bench, report) = Bench::of("more.yaml", MORE);
    assert_eq!(report.problems, []);
    assert_eq!((report.counts.hosts, report.counts.imports), (0, 0));
    assert!(bench.sink.objects.keys().all(|(kind, _)| *kind == Kind::Namespaces));
}

#[test]
fn kinds_that_are_asked_for_are_read_in_the_versions_that_are_known() {
    use crate::store::change::HostKind;
    let mut bench = Bench::with(|options| {
        options.more = HostKind::ALL.map(Kind::Hosts).into_iter().chain([Kind::Imports]).collect();
    });
    bench.write("more.yaml", MORE);
    let report = bench.look();
    assert_eq!((report.counts.hosts, report.counts.imports), (2, 1));
    let said: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("v1beta1") && said[0].contains("shop/old"), "{said:?}");
    bench.rest();
    bench.write("more.yaml", &MORE.replace("a.example.org", "c.example.org"));
    bench.look();
    assert!(bench.sink.steps.iter().any(|step| step.contains("shop/site")), "{:?}", bench.sink.steps);
    bench.write("more.yaml", "kind: Namespace\napiVersion: v1\nmetadata: {name: shop}\n");
    bench.look();
    bench.look();
    assert!(
        bench.sink.objects.keys().all(|(kind, _)| *kind == Kind::Namespaces),
        "{:?}",
        bench.sink.objects.keys()
    );
}
