//! The labels that the `kubernetes` step publishes about a query (rule K-250).

use super::grammar::{self, Below, Name};
use crate::wire::{Question, show_label};

/// The value of a label for a question; `None` for labels of others, empty where the name has no such part.
pub(super) fn value(question: &Question, left: usize, reverse: bool, label: &str) -> Option<String> {
    let label = label.strip_prefix("kubernetes/")?;
    if reverse {
        return Some(String::new());
    }
    let name = grammar::read(question, left);
    let text = |label: &[u8]| show_label(label);
    let first =
        |run: &[u8]| text(run.get(1..=run.first().copied().map_or(0, usize::from)).unwrap_or_default());
    let second =
        |run: &[u8]| first(run.get(1 + run.first().copied().map_or(0, usize::from)..).unwrap_or_default());
    let value = match (label, name) {
        ("kind", Name::Service { .. } | Name::Namespace { .. }) => "svc".to_owned(),
        ("kind", Name::Pod { .. } | Name::PodNamespace { .. }) => "pod".to_owned(),
        ("namespace", Name::Service { run, .. }) => second(run),
        (
            "namespace",
            Name::Namespace { namespace } | Name::PodNamespace { namespace } | Name::Pod { namespace, .. },
        ) => first(namespace),
        ("service", Name::Service { run, .. }) => first(run),
        ("endpoint", Name::Service { below: Below::Endpoint(endpoint), .. }) => text(endpoint),
        ("service", Name::Pod { label, .. }) => text(label),
        ("port-name", Name::Service { below: Below::Port(port, _), .. }) => {
            port.map(text).unwrap_or_default()
        }
        ("protocol", Name::Service { below: Below::Port(..), .. }) => {
            text(question.label(1)).trim_start_matches('_').to_owned()
        }
        ("parse-error", Name::Impossible) => "invalid query name".to_owned(),
        ("kind" | "namespace" | "service" | "endpoint" | "port-name" | "protocol" | "parse-error", _) => {
            String::new()
        }
        _ => return None,
    };
    Some(value)
}
