//! What is fuzzed behind the doors of this room: a file of manifests, from its bytes to the objects that are fed.

use std::path::Path;

use super::ManifestsOptions;
use super::derive::derive;
use super::read::read;
use crate::store::change::{HostKind, Kind, Object};
use crate::yaml::split;

/// What a file came to.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Read {
    /// What was found, in words, in its order.
    pub(crate) found: Vec<String>,
    /// What would be fed.
    pub(crate) objects: Vec<(Kind, Object)>,
    /// What is wrong: the line, and what is said of it.
    pub(crate) problems: Vec<(Option<u64>, String)>,
}

/// Reads a file as YAML, or as JSON.
pub(crate) fn file(json: bool, bytes: &[u8]) -> Read {
    let hosts = [
        HostKind::Ingresses,
        HostKind::Gateways,
        HostKind::HttpRoutes,
        HostKind::GrpcRoutes,
        HostKind::TlsRoutes,
    ];
    let more: Vec<Kind> = hosts.into_iter().map(Kind::Hosts).chain([Kind::Imports]).collect();
    let path = Path::new(if json { "a.json" } else { "a.yaml" });
    let reading = read(path, bytes, &more);
    let options = ManifestsOptions { dir: "/".into(), labels: None, pods: true, endpoints: true, more };
    let (objects, problems) = derive([(path, &*reading.found)].into_iter(), &options);
    let problems = reading.problems.iter().chain(&problems);
    Read {
        found: reading.found.iter().map(|found| format!("{:?} {:?}", found.id(), found.what)).collect(),
        objects: objects.into_iter().map(|((kind, _), object)| (kind, object)).collect(),
        problems: problems.map(|problem| (problem.line, problem.reason.to_string())).collect(),
    }
}

/// The documents of a YAML text.
pub(crate) fn documents(text: &str) -> Vec<&str> {
    split(text).into_iter().map(|(_, document)| document).collect()
}
