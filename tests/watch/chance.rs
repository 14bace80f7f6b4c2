//! Objects and faults made up: what `converge` and tests/simulation.rs do to an API server.

use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use crate::api::{Call, Fault, Resource, Rule, namespace, pod, service, slice};
use crate::truth::{
    ADDRESSES, CLUSTER_ADDRESSES, HOSTS, NAMESPACES, PODS, SERVICES, address, cluster_address, pod_address,
};

/// One of these.
pub(crate) fn pick<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.usize(..all.len())]
}

/// An object of the universe, made up.
pub(crate) fn object(rng: &mut Rng) -> Value {
    let ns = rng.usize(..NAMESPACES.len());
    let at = rng.usize(..SERVICES.len());
    match rng.u8(..10) {
        0 => namespace(NAMESPACES[ns]),
        1..=3 => {
            let spec = match rng.u8(..5) {
                0 | 1 => cluster_address(ns, at, rng.usize(..CLUSTER_ADDRESSES)),
                2 | 3 => "None".to_owned(),
                _ => "name=target.example.com.".to_owned(),
            };
            service(NAMESPACES[ns], SERVICES[at], &spec)
        }
        4..=7 => {
            let endpoints: Vec<String> = (0..rng.usize(..5))
                .map(|_| {
                    let not_ready = if rng.u8(..4) == 0 { "!" } else { "" };
                    let host = if rng.bool() { format!("={}", pick(rng, &HOSTS)) } else { String::new() };
                    format!("{not_ready}{}{host}", address(rng.usize(..ADDRESSES)))
                })
                .collect();
            let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
            let name = format!("{}-{}", SERVICES[at], rng.u8(..2));
            slice(NAMESPACES[ns], &name, SERVICES[at], &endpoints)
        }
        _ => {
            let one = rng.usize(..PODS);
            let mut pod = pod(NAMESPACES[ns], &format!("p{one}"), &pod_address(rng.usize(..PODS)));
            if rng.u8(..3) == 0 {
                pod["status"]["phase"] = pick(rng, &["Succeeded", "Failed", "Pending"]).into();
            }
            pod
        }
    }
}

/// A fault that strikes a few times.
pub(crate) fn fault(rng: &mut Rng) -> Rule {
    let any = [Call::List, Call::Page, Call::Watch, Call::InitialWatch];
    let rule = match rng.u8(..14) {
        0 => Fault::status(pick(rng, &[400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504])),
        1 | 2 => Fault::status(410).calls(&[Call::Watch]),
        3 => Fault::ErrorEvent(pick(rng, &[410, 500, 504])).rule().watches(),
        4 => Fault::StatusInBody(pick(rng, &[410, 500])).rule(),
        5 => Fault::Close.rule(),
        6 => Fault::Mute.rule().watches(),
        7 => Fault::NoBookmark.rule().watches(),
        8 => Fault::EndAfterEvents(rng.usize(..4)).rule().watches(),
        9 => Fault::CutAfterEvents(rng.usize(..4)).rule().watches(),
        10 => Fault::CutAfter(Duration::from_millis(rng.u64(..80))).rule().watches(),
        11 => Fault::Split(rng.usize(1..40)).rule(),
        12 => Fault::HalfBody.rule().calls(&[Call::List, Call::Page]),
        _ => Fault::status(410).calls(&[pick(rng, &any)]),
    };
    let rule = if rng.bool() { rule.on(pick(rng, &Resource::USUAL)) } else { rule };
    rule.times(rng.usize(1..4))
}
