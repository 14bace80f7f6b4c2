//! Label and field selectors, as the API server reads them.

use serde_json::Value;

/// The selectors of a request.
#[derive(Clone, Default, Debug)]
pub struct Selectors {
    /// `labelSelector`.
    pub labels: Vec<String>,
    /// `fieldSelector`.
    pub fields: Vec<String>,
}

impl Selectors {
    /// Reads both; empty text selects everything.
    pub fn new(labels: &str, fields: &str) -> Self {
        Self { labels: split(labels), fields: split(fields) }
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|term| label_matches(term, object))
            && self.fields.iter().all(|term| field_matches(term, object))
    }
}

/// The terms of a selector: cut at commas outside of parentheses.
fn split(text: &str) -> Vec<String> {
    let mut depth = 0;
    let mut terms = vec![String::new()];
    for letter in text.chars() {
        match letter {
            ',' if depth == 0 => terms.push(String::new()),
            _ => {
                depth += i32::from(letter == '(') - i32::from(letter == ')');
                terms.last_mut().unwrap().push(letter);
            }
        }
    }
    terms.into_iter().map(|term| term.trim().to_owned()).filter(|term| !term.is_empty()).collect()
}

/// One term of a label selector.
fn label_matches(term: &str, object: &Value) -> bool {
    let label = |key: &str| {
        object.pointer("/metadata/labels").and_then(|labels| labels.get(key.trim())).and_then(Value::as_str)
    };
    let listed = |set: &str, value: &str| {
        let set = set.trim().trim_start_matches('(').trim_end_matches(')');
        set.split(',').any(|one| one.trim() == value)
    };
    if let Some((key, set)) = term.split_once(" notin ") {
        return label(key).is_none_or(|value| !listed(set, value));
    }
    if let Some((key, set)) = term.split_once(" in ") {
        return label(key).is_some_and(|value| listed(set, value));
    }
    if let Some((key, value)) = term.split_once("!=") {
        return label(key) != Some(value.trim());
    }
    if let Some((key, value)) = term.split_once('=') {
        return label(key) == Some(value.trim_start_matches('=').trim());
    }
    match term.strip_prefix('!') {
        Some(key) => label(key).is_none(),
        None => label(term).is_some(),
    }
}

/// One term of a field selector; a field that is not there is the empty text.
fn field_matches(term: &str, object: &Value) -> bool {
    let (path, value, wanted) = match (term.split_once("!="), term.split_once('=')) {
        (Some((path, value)), _) => (path, value, false),
        (None, Some((path, value))) => (path, value.trim_start_matches('='), true),
        (None, None) => panic!("field selector {term:?}"),
    };
    let pointer = format!("/{}", path.trim().replace('.', "/"));
    let found = object.pointer(&pointer).and_then(Value::as_str).unwrap_or_default();
    (found == value.trim()) == wanted
}

#[test]
fn selectors_read_every_operator() {
    let object = serde_json::json!({
        "metadata": {"labels": {"app": "web", "tier": "front"}},
        "status": {"phase": "Running"},
    });
    let yes =
        ["app", "app=web", "app==web,tier!=back", "app in (api, web)", "tier notin (back)", "!gone", ""];
    let no = ["gone", "app=api", "app!=web", "app in (api)", "tier notin (front,back)", "!app"];
    for labels in yes {
        assert!(Selectors::new(labels, "").matches(&object), "{labels}");
    }
    for labels in no {
        assert!(!Selectors::new(labels, "").matches(&object), "{labels}");
    }
    assert!(Selectors::new("", "status.phase!=Failed,status.phase=Running").matches(&object));
    assert!(!Selectors::new("", "status.phase!=Running").matches(&object));
}
