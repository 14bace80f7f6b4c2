//! Z7: files of manifests, whose documents harm nobody but themselves.

use super::cost::{Bound, bounded};
use super::target::Seed;
use super::watch::checked;
use crate::source::manifests::fuzzed::{Read, documents, file};

/// What a file may cost: aliases make much of little, up to the budget of a document.
const READING: Bound = Bound { each: 1 << 15, beside: 64 << 20 };

/// The first byte chooses YAML or JSON; the rest is the file.
pub(super) fn run(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let json = which & 1 == 1;
    let whole = bounded(READING, bytes, || file(json, bytes));
    judge(&whole, bytes);
    assert_eq!(file(json, bytes), whole, "the same file, the same objects");
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(whole.found.is_empty() && whole.problems.len() == 1, "what is no text is one problem");
        return;
    };
    if json || text.contains('\u{feff}') {
        return;
    }
    // Each document by itself is what it is among the others.
    let alone: Vec<String> =
        documents(text).into_iter().flat_map(|document| file(false, document.as_bytes()).found).collect();
    assert_eq!(alone, whole.found);
    if !text.ends_with('\n') {
        return;
    }
    // Whatever stands behind a broken document is found all the same.
    let more = format!("{text}...\n---\n{SERVICE}");
    let last = file(false, SERVICE.as_bytes()).found;
    assert!(!last.is_empty());
    assert_eq!(file(false, more.as_bytes()).found, [whole.found, last].concat());
}

/// What is fed is safe to make names of, and problems are in the file.
fn judge(read: &Read, bytes: &[u8]) {
    for (kind, object) in &read.objects {
        checked(*kind, None, Some(object));
    }
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    for (line, reason) in &read.problems {
        assert!(!reason.is_empty());
        let line = line.map(|line| usize::try_from(line).expect("a number of a line"));
        assert!(
            line.is_none_or(|line| (1..=lines + 1).contains(&line)),
            "line {line:?} of {lines}: {reason}"
        );
    }
}

/// A Service.
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec:\n  clusterIP: 10.96.0.1\n  ports:\n  - {name: http, port: 80, targetPort: 8080}\n  selector: {app: web}\n";

/// Files.
pub(super) fn seeds() -> Vec<Seed> {
    let yaml = |text: &str| [&[0], text.as_bytes()].concat();
    let json = |text: &str| [&[1], text.as_bytes()].concat();
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-0\n  namespace: shop\n  labels: {app: web}\nspec:\n  hostname: h\n  subdomain: web\n  containers:\n  - ports: [{name: p, containerPort: 8080}]\nstatus:\n  phase: Running\n  podIP: 10.1.0.1\n  conditions: [{type: Ready, status: \"True\"}]\n";
    let endpoints = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: db, namespace: shop}\nsubsets:\n- addresses: [{ip: 10.1.0.2, hostname: db-0}]\n  notReadyAddresses: [{ip: 10.1.0.3}]\n  ports: [{name: pg, port: 5432}]\n";
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: s\n  namespace: shop\n  labels:\n    kubernetes.io/service-name: web\naddressType: IPv4\nendpoints:\n- addresses: [10.1.0.9]\nports:\n- port: 80\n";
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: shop}\nspec:\n  rules: [{host: a.example.org}]\nstatus:\n  loadBalancer: {ingress: [{ip: 192.0.2.1}]}\n";
    vec![
        ("service_and_pod", yaml(&format!("{SERVICE}---\n{pod}"))),
        ("endpoints", yaml(&format!("# first\n---\n{SERVICE}...\n%YAML 1.2\n---\n{endpoints}"))),
        ("slice", yaml(slice)),
        ("ingress", yaml(ingress)),
        ("namespace", yaml("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {a: \"no\"}}\n")),
        (
            "list",
            yaml(
                "apiVersion: v1\nkind: List\nitems:\n- kind: Service\n  apiVersion: v1\n  metadata: {name: x}\n  spec: {clusterIP: None}\n",
            ),
        ),
        (
            "aliases",
            yaml("a: &a [1, 2]\nb: &b [*a, *a]\nc: &c [*b, *b]\nkind: Service\nmetadata: {<<: *c}\n"),
        ),
        ("template", yaml("kind: Service\nmetadata: {name: {{ .Values.name }}}\n")),
        ("broken_between", yaml(&format!("{SERVICE}---\nkind: [\n---\n{slice}"))),
        ("no_text", [&[0], &b"kind: \xff\n"[..]].concat()),
        (
            "json",
            json(
                r#"{"kind":"Service","apiVersion":"v1","metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"10.96.0.1"}} {"kind":"NamespaceList","apiVersion":"v1","items":[{"metadata":{"name":"shop"}}]}"#,
            ),
        ),
        ("json_broken", json(r#"{"kind":"Service"} [1] {"#)),
    ]
}
