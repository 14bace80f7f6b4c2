//! Builders of objects, with only what names are made of.

use serde_json::{Value, json};

/// A Namespace with the label that every real one has.
pub fn namespace(name: &str) -> Value {
    json!({
        "kind": "Namespace", "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
    })
}

/// A Service with port `http` 80/TCP.
///
/// Shape: `address` is one or more addresses with commas between, `None` for headless, or `name=TARGET` for ExternalName.
pub fn service(ns: &str, name: &str, address: &str) -> Value {
    let ports = json!([{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]);
    let spec = match address.strip_prefix("name=") {
        Some(target) => json!({"type": "ExternalName", "externalName": target}),
        None => {
            let all: Vec<&str> = address.split(',').collect();
            json!({"type": "ClusterIP", "clusterIP": all[0], "clusterIPs": all, "ports": ports})
        }
    };
    json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": {"namespace": ns, "name": name, "labels": {"app": name}},
        "spec": spec,
    })
}

/// An EndpointSlice of Service `service` with port `http` 8080/TCP.
///
/// Shape: each endpoint is `ADDRESS`, `ADDRESS=HOSTNAME`, or either with `!` in front where it is not ready.
pub fn slice(ns: &str, name: &str, service: &str, endpoints: &[&str]) -> Value {
    let six = endpoints.iter().any(|endpoint| endpoint.contains(':'));
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|endpoint| {
            let ready = !endpoint.starts_with('!');
            let (address, hostname) = match endpoint.trim_start_matches('!').split_once('=') {
                Some((address, hostname)) => (address, Some(hostname)),
                None => (endpoint.trim_start_matches('!'), None),
            };
            let mut endpoint = json!({"addresses": [address], "conditions": {"ready": ready}});
            if let Some(hostname) = hostname {
                endpoint["hostname"] = json!(hostname);
            }
            endpoint
        })
        .collect();
    json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "namespace": ns, "name": name,
            "labels": {"kubernetes.io/service-name": service, "app": service},
        },
        "addressType": if six { "IPv6" } else { "IPv4" },
        "endpoints": endpoints,
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
    })
}

/// A running Pod.
pub fn pod(ns: &str, name: &str, address: &str) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"namespace": ns, "name": name, "labels": {"app": name}},
        "spec": {"containers": []},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    })
}
