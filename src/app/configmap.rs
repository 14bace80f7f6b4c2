//! Corefiles inside of ConfigMaps, as CI and admission hooks have them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::yaml;

/// The key of the Corefile.
const COREFILE: &str = "Corefile";

/// The Corefile in a text that is the manifest of a ConfigMap, YAML or JSON, perhaps one document of several; `None` where the
/// text is none.
///
/// A Corefile is never taken for one: it is no mapping with `kind: ConfigMap`.
pub(crate) fn corefile(text: &str) -> Option<String> {
    if !text.contains("ConfigMap") {
        return None;
    }
    yaml::of_kind(text, "ConfigMap").find_map(|map| files(&map).remove(COREFILE))
}

/// The keys of a text that is the manifest of a ConfigMap; `None` where it is none.
pub(crate) fn data(text: &str) -> Option<BTreeMap<String, String>> {
    yaml::of_kind(text, "ConfigMap").next().map(|map| files(&map))
}

/// The files of a ConfigMap. What is no text is none: the API server takes no other.
fn files(map: &Value) -> BTreeMap<String, String> {
    let data = map.get("data").and_then(Value::as_object).into_iter().flatten();
    data.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corefile_of_a_configmap_is_found_in_yaml_and_in_json() {
        let yaml = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\n\
                    metadata:\n  name: coredns\ndata:\n  Corefile: |\n    .:53 {\n        whoami\n    }\n";
        assert_eq!(corefile(yaml).as_deref(), Some(".:53 {\n    whoami\n}\n"));
        let json = r#"{"kind": "ConfigMap", "data": {"Corefile": ".:53 {\n}\n"}}"#;
        assert_eq!(corefile(json).as_deref(), Some(".:53 {\n}\n"));
    }

    #[test]
    fn a_corefile_is_no_configmap() {
        assert_eq!(corefile("# the ConfigMap coredns\n.:53 {\n    whoami\n}\n"), None);
        assert_eq!(corefile("kind: ConfigMap\ndata: {other: x}\n"), None);
    }
}
