//! Objects of the size that they have in clusters: with labels, annotations, managedFields, owners, nodes and zones.

use serde_json::{Value, json};

/// How many namespaces.
pub(crate) const NAMESPACES: usize = 100;

/// How large a cluster is: Services, and endpoints of each; a slice each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scale {
    /// Services.
    pub(crate) services: usize,
    /// Endpoints of each.
    pub(crate) endpoints: usize,
}

/// The cluster that nearly everything is measured with.
pub(crate) const USUAL: Scale = Scale { services: 10_000, endpoints: 5 };

/// How many slices the large Service has, and how many endpoints each.
pub(crate) const LARGE: (usize, usize) = (50, 100);

/// The number of the large headless Service.
pub(crate) const LARGE_SERVICE: usize = 60_000;

/// One Service in so many is headless.
pub(crate) const HEADLESS_EVERY: usize = 10;

/// The namespace of a Service.
pub(crate) fn namespace_of(number: usize) -> String {
    format!("team-{:03}", number % NAMESPACES)
}

/// A Service's name.
pub(crate) fn name_of(number: usize) -> String {
    format!("service-{number:05}")
}

/// Whether a Service is headless.
pub(crate) fn is_headless(number: usize) -> bool {
    number.is_multiple_of(HEADLESS_EVERY)
}

/// The address of a Service.
pub(crate) fn cluster_ip(number: usize) -> [u8; 4] {
    let [.., high, low] = number.to_be_bytes();
    [10, 96, high, low]
}

/// The address of an endpoint.
pub(crate) fn endpoint_ip(scale: Scale, number: usize, endpoint: usize) -> [u8; 4] {
    let [.., high, middle, low] = (number * scale.endpoints + endpoint).to_be_bytes();
    [10, 128 + high, middle, low]
}

/// All objects of a cluster.
pub(crate) fn all(scale: Scale) -> impl Iterator<Item = Value> {
    let namespaces = (0..NAMESPACES).map(|ns| {
        let mut object = super::api::namespace(&namespace_of(ns));
        dress(&mut object, ns, "kube-controller-manager", &["f:status", "f:phase"]);
        object
    });
    namespaces.chain((0..scale.services).flat_map(move |number| [service(number), slice(scale, number)]))
}

/// A Service with one named port.
pub(crate) fn service(number: usize) -> Value {
    let address = if is_headless(number) { "None".to_owned() } else { text(cluster_ip(number)) };
    let mut object = super::api::service(&namespace_of(number), &name_of(number), &address);
    let name = name_of(number);
    object["spec"]["selector"] =
        json!({"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "prod"});
    object["spec"]["sessionAffinity"] = json!("None");
    object["spec"]["internalTrafficPolicy"] = json!("Cluster");
    object["spec"]["ipFamilies"] = json!(["IPv4"]);
    object["spec"]["ipFamilyPolicy"] = json!("SingleStack");
    object["status"] = json!({"loadBalancer": {}});
    object["metadata"]["annotations"] = json!({
        "kubectl.kubernetes.io/last-applied-configuration": object.to_string(),
        "meta.helm.sh/release-name": name,
        "meta.helm.sh/release-namespace": namespace_of(number),
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
    });
    dress(
        &mut object,
        number,
        "helm",
        &["f:internalTrafficPolicy", "f:ports", "f:selector", "f:sessionAffinity", "f:type"],
    );
    object
}

/// Its slice.
fn slice(scale: Scale, number: usize) -> Value {
    let addresses: Vec<[u8; 4]> = (0..scale.endpoints).map(|at| endpoint_ip(scale, number, at)).collect();
    slice_of(number, number.wrapping_mul(0x9e37) & 0xf_ffff, &addresses)
}

/// An address of the large Service: of a slice, by its place and how often the slice has changed.
pub(crate) fn large_ip(slice: usize, endpoint: usize, change: usize) -> [u8; 4] {
    let [.., middle, low] = (slice * 512 + endpoint + change % 256).to_be_bytes();
    [10, 127, middle, low]
}

/// A slice of the large Service; each change takes one address and brings another.
pub(crate) fn large_slice(slice: usize, change: usize) -> Value {
    let addresses: Vec<[u8; 4]> = (0..LARGE.1).map(|at| large_ip(slice, at, change)).collect();
    slice_of(LARGE_SERVICE, slice, &addresses)
}

/// The large Service with its slices.
pub(crate) fn large() -> impl Iterator<Item = Value> {
    std::iter::once(service(LARGE_SERVICE)).chain((0..LARGE.0).map(|at| large_slice(at, 0)))
}

/// A slice of a Service with these addresses.
fn slice_of(number: usize, slice: usize, addresses: &[[u8; 4]]) -> Value {
    let addresses: Vec<String> = addresses.iter().copied().map(text).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let name = format!("{}-{slice:05x}", name_of(number));
    let mut object = super::api::slice(&namespace_of(number), &name, &name_of(number), &addresses);
    for (at, endpoint) in object["endpoints"].as_array_mut().into_iter().flatten().enumerate() {
        endpoint["conditions"] = json!({"ready": true, "serving": true, "terminating": false});
        endpoint["nodeName"] =
            json!(format!("ip-10-0-{}-{}.eu-central-1.compute.internal", at, number % 250));
        endpoint["zone"] = json!("eu-central-1a");
        endpoint["targetRef"] = json!({
            "kind": "Pod", "namespace": namespace_of(number),
            "name": format!("{}-6d4cf56db6-{at:05}", name_of(number)),
            "uid": uid(number * 100 + at, 3),
        });
    }
    object["metadata"]["generateName"] = json!(format!("{}-", name_of(number)));
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "Service", "name": name_of(number), "uid": uid(number, 1),
        "controller": true, "blockOwnerDeletion": true,
    }]);
    object["metadata"]["annotations"] =
        json!({"endpoints.kubernetes.io/last-change-trigger-time": "2026-11-20T09:12:44Z"});
    object["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] =
        json!("endpointslice-controller.k8s.io");
    dress(
        &mut object,
        number,
        "kube-controller-manager",
        &["f:addressType", "f:endpoints", "f:ports", "f:generateName", "f:ownerReferences"],
    );
    object
}

/// Gives an object what every one has: labels, a date, managedFields.
fn dress(object: &mut Value, number: usize, manager: &str, fields: &[&str]) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let metadata = &mut object["metadata"];
    for (label, value) in [
        ("app.kubernetes.io/name", name.as_str()),
        ("app.kubernetes.io/instance", "prod"),
        ("app.kubernetes.io/version", "1.27.3"),
        ("app.kubernetes.io/component", "backend"),
        ("app.kubernetes.io/managed-by", "Helm"),
        ("helm.sh/chart", "backend-4.2.1"),
    ] {
        metadata["labels"][label] = json!(value);
    }
    metadata["creationTimestamp"] = json!("2026-03-14T15:09:26Z");
    metadata["uid"] = json!(uid(number, object_kind(manager)));
    let mut owned = json!({"f:metadata": {
        "f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}, "f:prometheus.io/scrape": {}},
        "f:labels": {
            ".": {}, "f:app.kubernetes.io/name": {}, "f:app.kubernetes.io/instance": {},
            "f:app.kubernetes.io/version": {}, "f:app.kubernetes.io/managed-by": {}, "f:helm.sh/chart": {},
        },
    }});
    for field in fields {
        owned["f:spec"][*field] =
            json!({".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}});
    }
    metadata["managedFields"] = json!([{
        "manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-11-20T09:12:44Z",
        "fieldsType": "FieldsV1", "fieldsV1": owned,
    }]);
}

/// Tells UIDs of kinds apart.
fn object_kind(manager: &str) -> usize {
    manager.len()
}

/// A UID.
fn uid(number: usize, kind: usize) -> String {
    format!("{number:08x}-{kind:04x}-4000-8000-{:012x}", number.wrapping_mul(0x9e37_79b9) & 0xffff_ffff)
}

/// An address as text.
pub(crate) fn text([a, b, c, d]: [u8; 4]) -> String {
    format!("{a}.{b}.{c}.{d}")
}
