//! One object at the door: JSON or protobuf in, an [`Object`] of our fields out, and the list of what was left out.
//!
//! ```text
//!  text or tree ── serde ────► raw (lenient fields, borrowed) ── cut ──► Cut { key, object, faults }
//!  protobuf ────── protobuf ─┘
//! ```
//!
//! Invariants:
//!
//! * A field of a wrong type or value never hides its neighbours: an address costs an endpoint that address, a port
//!   the object that port; only without a good name, namespace or spec is the whole object left out.
//! * What passes is safe to make names of: names and host names are labels, ports are 1..=65535.
//! * Large fields that are not ours (managedFields, other annotations) are passed over, not kept.

mod cut;
mod fault;
pub(crate) mod field;
mod hosts;
mod moment;
mod part;
pub(crate) mod protobuf;
pub(crate) mod raw;

#[cfg(test)]
mod tests;

use serde::Deserialize;

pub use self::cut::Cut;
pub(crate) use self::cut::{cut_namespace, cut_pod, cut_service, cut_slice, service_port};
pub use self::fault::Fault;
pub(crate) use self::hosts::{cut_gateway, cut_import, cut_ingress, cut_route};
pub(crate) use self::part::{
    Names, address, hostname, is_label, key, pairs, port_number, port_protocol, slice_ports, target,
};
pub use self::protobuf::{Malformed, decode_protobuf};
use super::SourceError;
use crate::store::change::{HostKind, Kind, Object};

/// Decodes one object of `kind` from JSON, as the API server sends it in a list or a watch event.
///
/// The object itself may lack `kind` and `apiVersion`, as the items of a list do. Where `object` is `None` the object
/// is to be treated as gone: an earlier version of `key` no longer stands for it.
///
/// Errors: [`SourceError::Json`] where the text is not one JSON object; everything else is a [`Fault`].
/// Cost:   one pass, no tree; strings without escapes are borrowed until they are kept.
pub fn decode(kind: Kind, json: &[u8]) -> Result<Cut<Object>, SourceError> {
    Ok(match kind {
        Kind::Services => cut_service(&parse(json)?).map(Object::Service),
        Kind::EndpointSlices => cut_slice(&parse(json)?).map(Object::Slice),
        Kind::Namespaces => cut_namespace(&parse(json)?).map(Object::Namespace),
        Kind::Pods => cut_pod(&parse(json)?).map(Object::Pod),
        Kind::Imports => cut_import(&parse(json)?).map(Object::Import),
        Kind::Hosts(HostKind::Ingresses) => cut_ingress(&parse(json)?).map(Object::Hosts),
        Kind::Hosts(HostKind::Gateways) => cut_gateway(&parse(json)?).map(Object::Hosts),
        Kind::Hosts(kind @ (HostKind::HttpRoutes | HostKind::GrpcRoutes | HostKind::TlsRoutes)) => {
            cut_route(kind, &parse(json)?).map(Object::Hosts)
        }
    })
}

/// Parses JSON, with the error of this room.
fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, SourceError> {
    serde_json::from_slice(json).map_err(|source| SourceError::Json { source })
}
