//! The labels that the `kubernetes` step publishes about a query (rule K-250).

use super::grammar::{self, Below, Forms, Name};
use crate::store::ClientPod;
use crate::wire::{Question, show_label, show_name};

/// The value of a label about the pod that asks; `None` for labels of others.
pub(super) fn of_client(client: &ClientPod, label: &str) -> Option<String> {
    match label.strip_prefix("kubernetes/client-")? {
        "namespace" => Some(client.namespace().to_owned()),
        "pod-name" => Some(client.name().to_owned()),
        other => client.label(other.strip_prefix("label/")?).map(str::to_owned),
    }
}

/// The value of a label for a question; `None` for labels of others, empty where the name has no such part.
pub(super) fn value(
    question: &Question,
    left: usize,
    reverse: bool,
    forms: Forms,
    label: &str,
) -> Option<String> {
    let label = label.strip_prefix("kubernetes/")?;
    match label {
        "cluster" if !forms.multicluster => return None,
        "zone" if !forms.zonal => return None,
        _ => {}
    }
    if reverse {
        return Some(String::new());
    }
    let name = grammar::read(question, left, forms);
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
        (
            "endpoint",
            Name::Service { below: Below::Endpoint(endpoint) | Below::Cluster(endpoint, _), .. },
        ) => text(endpoint),
        ("cluster", Name::Service { below: Below::Cluster(_, cluster), .. }) => text(cluster),
        ("zone", Name::Service { below: Below::Zone { zone, .. }, .. }) => {
            show_name(zone).trim_end_matches('.').to_owned()
        }
        ("service", Name::Pod { label, .. }) => text(label),
        ("port-name", Name::Service { below: Below::Port(port, _), .. }) => {
            port.map(text).unwrap_or_default()
        }
        ("protocol", Name::Service { below: Below::Port(..), .. }) => {
            text(question.label(1)).trim_start_matches('_').to_owned()
        }
        ("parse-error", Name::Impossible) => "invalid query name".to_owned(),
        (
            "kind" | "namespace" | "service" | "endpoint" | "port-name" | "protocol" | "parse-error"
            | "cluster" | "zone",
            _,
        ) => String::new(),
        _ => return None,
    };
    Some(value)
}
