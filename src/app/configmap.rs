//! Corefiles inside of ConfigMaps, as CI and admission hooks have them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::yaml;

/// The key of the Corefile.
const COREFILE: &str = "Corefile";

/// The Corefiles in a text that is the manifest of ConfigMaps, YAML or JSON, perhaps documents among others or items of a list,
/// each with the name of its ConfigMap; none where the text is none.
///
/// A Corefile is never taken for one: it is no mapping with `kind: ConfigMap`.
pub(crate) fn corefiles(text: &str) -> Vec<(String, String)> {
    if !text.contains("ConfigMap") {
        return Vec::new();
    }
    let name =
        |map: &Value| map.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    yaml::of_kind(text, "ConfigMap")
        .filter_map(|map| files(&map).remove(COREFILE).map(|text| (name(&map), text)))
        .collect()
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
    fn the_corefiles_of_configmaps_are_found_in_yaml_and_in_json() {
        let yaml = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\n\
                    metadata:\n  name: coredns\ndata:\n  Corefile: |\n    .:53 {\n        whoami\n    }\n";
        let found = [("coredns".to_owned(), ".:53 {\n    whoami\n}\n".to_owned())];
        assert_eq!(corefiles(yaml), found);
        let json = r#"{"kind": "ConfigMap", "data": {"Corefile": ".:53 {\n}\n"}}"#;
        assert_eq!(corefiles(json), [(String::new(), ".:53 {\n}\n".to_owned())]);
        let item = json.replace(r#""data""#, r#""metadata": {"name": "node"}, "data""#);
        let list = format!(r#"{{"kind": "List", "items": [{item}, {{"kind": "Secret"}}]}}"#);
        assert_eq!(corefiles(&list), [("node".to_owned(), ".:53 {\n}\n".to_owned())]);
        assert_eq!(corefiles(&format!("{yaml}---\n{list}")).len(), 2);
    }

    #[test]
    fn a_corefile_is_no_configmap() {
        assert_eq!(corefiles("# the ConfigMap coredns\n.:53 {\n    whoami\n}\n"), []);
        assert_eq!(corefiles("kind: ConfigMap\ndata: {other: x}\n"), []);
    }
}
