//! `k8s_external`: what a cluster offers to the outside, under names of a zone of its own (SPEC J: K-290 to K-297).
//!
//! ```text
//! question ─► zone ─┬► the zone's own names: apex, `dns`, `ns1.dns`
//!                   ├► hosts of Ingresses and Gateways (asked for by `ingress`, `gateway`)
//!                   ├► SVC.NS and what is below it
//!                   └► reverse names of external addresses
//! ```
//!
//! It looks into the store of the `kubernetes` stanza of its block, and shows the namespaces that that one shows.

mod apex;
mod hosts;
mod parse;
mod service;
mod step;
mod whole;

pub(super) use parse::{HELP, Line, SYNTAX, WORD, parse};
pub(super) use step::K8sExternal;
