//! What is in the resolv.conf of a pod, as the kubelet writes it.

use std::path::Path;

use serde_json::Value;

use super::walk::Resolver;
use crate::yaml;

/// The resolver of a pod: by its manifest where there is one, else as all pods have it unless they say otherwise.
///
/// Errors: the pod is not among the manifests, in words.
pub(super) fn resolver(
    namespace: &str,
    pod: Option<&str>,
    zone: &str,
    manifests: Option<&Path>,
    ndots: usize,
) -> Result<Resolver, String> {
    let zone = zone.trim_end_matches('.');
    let usual = vec![format!("{namespace}.svc.{zone}"), format!("svc.{zone}"), zone.to_owned()];
    let note = "the search list of pods with dnsPolicy ClusterFirst; zones of the node come behind it";
    let mut resolver = Resolver { ndots, search: usual, note: Some(note.to_owned()), asks: true };
    let Some(pod) = pod else { return Ok(resolver) };
    let Some(dir) = manifests else {
        // A server knows nothing of what pods say about DNS.
        resolver.note = Some(format!(
            "{note}; what Pod {namespace}/{pod} says of its own is known from a folder of manifests alone"
        ));
        return Ok(resolver);
    };
    let spec = find(dir, namespace, pod).ok_or_else(|| {
        format!("there is no Pod {namespace}/{pod} among the manifests in {}", dir.display())
    })?;
    let host_network = spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or_default();
    let policy = text(&spec, "dnsPolicy").unwrap_or("ClusterFirst");
    let of_node = policy == "Default" || policy == "ClusterFirst" && host_network;
    if of_node || policy == "None" {
        resolver.asks = policy == "None";
        resolver.search.clear();
        resolver.note = Some(match of_node {
            true if host_network && policy == "ClusterFirst" => format!(
                "Pod {namespace}/{pod} has hostNetwork and dnsPolicy ClusterFirst, which is Default there: it asks the \
                 node's servers and never this one; write dnsPolicy: ClusterFirstWithHostNet"
            ),
            true => format!(
                "Pod {namespace}/{pod} has dnsPolicy Default: it asks the node's servers and never this one"
            ),
            false => format!("Pod {namespace}/{pod} has dnsPolicy None: it searches what its dnsConfig says"),
        });
    } else {
        resolver.note = Some(format!("as Pod {namespace}/{pod} has it; zones of the node come behind it"));
    }
    let config = spec.get("dnsConfig");
    let list = |key| config.and_then(|config| config.get(key)?.as_array()).into_iter().flatten();
    resolver.search.extend(list("searches").filter_map(Value::as_str).map(ToOwned::to_owned));
    let given = list("options").find(|option| text(option, "name") == Some("ndots"));
    if let Some(given) = given.and_then(|option| text(option, "value")?.parse().ok()) {
        resolver.ndots = given;
    } else if policy == "None" {
        resolver.ndots = 1;
    }
    Ok(resolver)
}

/// A field that is a text.
fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// The `spec` of the pod in a folder of manifests.
fn find(dir: &Path, namespace: &str, pod: &str) -> Option<Value> {
    let mut entries: Vec<_> = std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.sort_unstable();
    for path in entries {
        if path.is_dir() {
            if let Some(found) = find(&path, namespace, pod) {
                return Some(found);
            }
            continue;
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !["yaml", "yml", "json"].contains(&ending) {
            continue;
        }
        let manifest = std::fs::read_to_string(&path).unwrap_or_default();
        for mut found in yaml::of_kind(&manifest, "Pod") {
            let named = |key| text(found.get("metadata")?, key).filter(|name| !name.is_empty());
            if named("name") == Some(pod) && named("namespace").unwrap_or("default") == namespace {
                return Some(found.get_mut("spec").map(Value::take).unwrap_or_default());
            }
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
mod tests {
    use super::*;

    /// The resolver of the pod `a` in `prod` with these lines in its spec.
    fn of(spec: &str) -> Resolver {
        let dir = tempfile::tempdir().unwrap();
        let text =
            format!("kind: Pod\nmetadata: {{name: a, namespace: prod}}\nspec:\n  containers: []\n{spec}");
        std::fs::write(dir.path().join("pod.yaml"), text).unwrap();
        resolver("prod", Some("a"), "cluster.local.", Some(dir.path()), 5).unwrap()
    }

    #[test]
    fn a_pod_searches_its_namespace_the_services_and_the_zone() {
        let usual = ["prod.svc.cluster.local", "svc.cluster.local", "cluster.local"];
        assert_eq!(of("").search, usual);
        assert_eq!(resolver("prod", None, "cluster.local.", None, 5).unwrap().search, usual);
    }

    #[test]
    fn dns_config_adds_zones_and_sets_ndots() {
        let resolver =
            of("  dnsConfig:\n    searches: [corp.example]\n    options: [{name: ndots, value: \"2\"}]\n");
        assert_eq!((resolver.ndots, resolver.search.last().map(String::as_str)), (2, Some("corp.example")));
    }

    #[test]
    fn pods_that_ask_the_node_never_ask_us() {
        assert!(!of("  dnsPolicy: Default\n").asks);
        let host = of("  hostNetwork: true\n");
        assert!(!host.asks && host.note.unwrap().contains("ClusterFirstWithHostNet"));
        assert!(of("  hostNetwork: true\n  dnsPolicy: ClusterFirstWithHostNet\n").asks);
        assert!(of("  dnsPolicy: None\n").asks);
    }

    #[test]
    fn a_pod_that_is_not_there_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(resolver("prod", Some("a"), "cluster.local.", Some(dir.path()), 5).is_err());
    }
}
