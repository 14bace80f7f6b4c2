//! Kubernetes' protobuf, written from the field numbers of its generated.proto files: what an API server sends that is asked for it.
//!
//! Objects are kept as JSON. What stands in one with another type than it has is written with another wire type too, so that a bad
//! object is as bad in both languages. Empty texts are written where the Go types have no pointer, as the real encoder does.

use serde_json::Value;

use super::cluster::Resource;

/// The content type of a list.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The content type of a watch.
pub const WATCH_TYPE: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// Which languages the server speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaks {
    /// Protobuf to those that ask for it, as a real one for its own kinds.
    Both,
    /// JSON, whatever is asked for, as a real one for kinds that a CRD defines.
    OnlyJson,
    /// JSON; a request that asks for anything else too is refused with 406.
    JsonOrNothing,
}

impl Default for Speaks {
    /// Protobuf, except in the test binary that runs everything over JSON.
    fn default() -> Self {
        if env!("CARGO_CRATE_NAME") == "watch_json" { Self::OnlyJson } else { Self::Both }
    }
}

/// What a field is.
#[derive(Clone, Copy)]
enum Type {
    /// A text; left out where it is not there.
    Text,
    /// A text that is written even where it is not there.
    Always,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A message.
    Message(&'static [Field]),
    /// Texts to texts.
    Map,
    /// A number or a text, in a message.
    Either,
    /// A date, in a message.
    Time,
    /// JSON as it stands, in a message.
    Raw,
    /// A list of texts.
    Texts,
    /// A list of messages.
    Messages(&'static [Field]),
}

/// A field: its name in JSON, its number, what it is.
type Field = (&'static str, u64, Type);

/// meta/v1 ObjectMeta.
const META: &[Field] = &[
    ("name", 1, Type::Always),
    ("generateName", 2, Type::Always),
    ("namespace", 3, Type::Always),
    ("selfLink", 4, Type::Always),
    ("uid", 5, Type::Always),
    ("resourceVersion", 6, Type::Always),
    ("generation", 7, Type::Number),
    ("creationTimestamp", 8, Type::Time),
    ("deletionTimestamp", 9, Type::Time),
    ("labels", 11, Type::Map),
    ("annotations", 12, Type::Map),
    ("ownerReferences", 13, Type::Messages(OWNER)),
    ("managedFields", 17, Type::Messages(MANAGED)),
];

/// meta/v1 OwnerReference.
const OWNER: &[Field] = &[
    ("kind", 1, Type::Always),
    ("name", 3, Type::Always),
    ("uid", 4, Type::Always),
    ("apiVersion", 5, Type::Always),
    ("controller", 6, Type::Flag),
    ("blockOwnerDeletion", 7, Type::Flag),
];

/// meta/v1 ManagedFieldsEntry.
const MANAGED: &[Field] = &[
    ("manager", 1, Type::Always),
    ("operation", 2, Type::Always),
    ("apiVersion", 3, Type::Always),
    ("time", 4, Type::Time),
    ("fieldsType", 6, Type::Always),
    ("fieldsV1", 7, Type::Raw),
    ("subresource", 8, Type::Always),
];

/// core/v1 Service.
const SERVICE: &[Field] = &[
    ("metadata", 1, Type::Message(META)),
    ("spec", 2, Type::Message(SERVICE_SPEC)),
    ("status", 3, Type::Message(&[("loadBalancer", 1, Type::Message(BALANCER))])),
];

/// core/v1 LoadBalancerStatus.
const BALANCER: &[Field] =
    &[("ingress", 1, Type::Messages(&[("ip", 1, Type::Always), ("hostname", 2, Type::Always)]))];

/// core/v1 ServiceSpec.
const SERVICE_SPEC: &[Field] = &[
    ("ports", 1, Type::Messages(PORT)),
    ("selector", 2, Type::Map),
    ("clusterIP", 3, Type::Always),
    ("type", 4, Type::Always),
    ("externalIPs", 5, Type::Texts),
    ("sessionAffinity", 7, Type::Always),
    ("loadBalancerIP", 8, Type::Always),
    ("externalName", 10, Type::Always),
    ("externalTrafficPolicy", 11, Type::Always),
    ("publishNotReadyAddresses", 13, Type::Flag),
    ("ipFamilyPolicy", 17, Type::Text),
    ("clusterIPs", 18, Type::Texts),
    ("ipFamilies", 19, Type::Texts),
    ("internalTrafficPolicy", 22, Type::Text),
];

/// core/v1 ServicePort; discovery/v1 EndpointPort has the same numbers for what both have.
const PORT: &[Field] = &[
    ("name", 1, Type::Always),
    ("protocol", 2, Type::Text),
    ("port", 3, Type::Number),
    ("targetPort", 4, Type::Either),
    ("nodePort", 5, Type::Number),
];

/// discovery/v1 EndpointPort.
const SLICE_PORT: &[Field] = &[
    ("name", 1, Type::Text),
    ("protocol", 2, Type::Text),
    ("port", 3, Type::Number),
    ("appProtocol", 4, Type::Text),
];

/// discovery/v1 EndpointSlice.
const SLICE: &[Field] = &[
    ("metadata", 1, Type::Message(META)),
    ("endpoints", 2, Type::Messages(ENDPOINT)),
    ("ports", 3, Type::Messages(SLICE_PORT)),
    ("addressType", 4, Type::Always),
];

/// discovery/v1 Endpoint.
const ENDPOINT: &[Field] = &[
    ("addresses", 1, Type::Texts),
    (
        "conditions",
        2,
        Type::Message(&[
            ("ready", 1, Type::Flag),
            ("serving", 2, Type::Flag),
            ("terminating", 3, Type::Flag),
        ]),
    ),
    ("hostname", 3, Type::Text),
    ("targetRef", 4, Type::Message(REFERENCE)),
    ("nodeName", 6, Type::Text),
    ("zone", 7, Type::Text),
];

/// core/v1 ObjectReference.
const REFERENCE: &[Field] = &[
    ("kind", 1, Type::Always),
    ("namespace", 2, Type::Always),
    ("name", 3, Type::Always),
    ("uid", 4, Type::Always),
    ("apiVersion", 5, Type::Always),
    ("resourceVersion", 6, Type::Always),
    ("fieldPath", 7, Type::Always),
];

/// core/v1 Namespace.
const NAMESPACE: &[Field] = &[
    ("metadata", 1, Type::Message(META)),
    ("spec", 2, Type::Message(&[("finalizers", 1, Type::Texts)])),
    ("status", 3, Type::Message(&[("phase", 1, Type::Always)])),
];

/// core/v1 Pod.
const POD: &[Field] = &[
    ("metadata", 1, Type::Message(META)),
    ("spec", 2, Type::Message(&[("hostname", 16, Type::Always), ("subdomain", 17, Type::Always)])),
    (
        "status",
        3,
        Type::Message(&[
            ("phase", 1, Type::Always),
            ("hostIP", 5, Type::Always),
            ("podIP", 6, Type::Always),
            ("podIPs", 12, Type::Messages(&[("ip", 1, Type::Always)])),
        ]),
    ),
];

/// meta/v1 Status.
const STATUS: &[Field] = &[
    ("metadata", 1, Type::Message(LIST_META)),
    ("status", 2, Type::Always),
    ("message", 3, Type::Always),
    ("reason", 4, Type::Always),
    ("code", 6, Type::Number),
];

/// meta/v1 ListMeta.
const LIST_META: &[Field] = &[
    ("selfLink", 1, Type::Always),
    ("resourceVersion", 2, Type::Always),
    ("continue", 3, Type::Always),
    ("remainingItemCount", 4, Type::Number),
];

/// Whether a resource is there in protobuf: what a CRD defines never is, and of Ingresses we have no table.
pub fn has(resource: Resource) -> bool {
    Resource::USUAL.contains(&resource)
}

/// The fields of a resource's objects.
fn fields(resource: Resource) -> &'static [Field] {
    match resource {
        Resource::Services => SERVICE,
        Resource::EndpointSlices => SLICE,
        Resource::Namespaces => NAMESPACE,
        Resource::Pods => POD,
        // Asked for in JSON only; see `has`.
        Resource::ServiceImports
        | Resource::Ingresses
        | Resource::Gateways
        | Resource::HttpRoutes
        | Resource::GrpcRoutes
        | Resource::TlsRoutes => &[],
    }
}

/// Appends a number.
fn number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    to.push(u8::try_from(number).unwrap());
}

/// Appends a field of bytes.
fn bytes(to: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    number(to, field << 3 | 2);
    number(to, bytes.len().try_into().unwrap());
    to.extend_from_slice(bytes);
}

/// Appends a field of a number.
fn integer(to: &mut Vec<u8>, field: u64, value: u64) {
    number(to, field << 3);
    number(to, value);
}

/// Appends a value that has not the type of its field, with a wire type that is not the field's either.
fn wrong(to: &mut Vec<u8>, field: u64, value: &Value, is_number: bool) {
    if is_number {
        bytes(to, field, value.to_string().as_bytes());
    } else {
        integer(to, field, 7);
    }
}

/// Appends one field.
fn write(to: &mut Vec<u8>, (name, field, kind): Field, object: &Value) {
    let value = &object[name];
    match (kind, value) {
        (Type::Always, Value::Null) => bytes(to, field, b""),
        (_, Value::Null) => {}
        (Type::Text | Type::Always, Value::String(text)) => bytes(to, field, text.as_bytes()),
        (Type::Number, Value::Number(value)) => {
            // A number beyond 64 bits or with a fraction has no place here; the field goes wrong.
            match value.as_i64().map(i64::cast_unsigned).or(value.as_u64()) {
                Some(value) => integer(to, field, value),
                None => bytes(to, field, b"?"),
            }
        }
        (Type::Flag, Value::Bool(flag)) => integer(to, field, u64::from(*flag)),
        (Type::Message(fields), Value::Object(_)) => bytes(to, field, &message(fields, value)),
        (Type::Map, Value::Object(pairs)) => {
            for (key, value) in pairs {
                let mut pair = Vec::new();
                bytes(&mut pair, 1, key.as_bytes());
                match value {
                    Value::String(text) => bytes(&mut pair, 2, text.as_bytes()),
                    other => wrong(&mut pair, 2, other, false),
                }
                bytes(to, field, &pair);
            }
        }
        (Type::Either, value) => {
            let mut either = Vec::new();
            integer(&mut either, 1, u64::from(value.is_string()));
            integer(&mut either, 2, value.as_u64().unwrap_or(0));
            bytes(&mut either, 3, value.as_str().unwrap_or_default().as_bytes());
            bytes(to, field, &either);
        }
        (Type::Time, Value::String(_)) => {
            let mut time = Vec::new();
            integer(&mut time, 1, 1_773_500_000);
            integer(&mut time, 2, 0);
            bytes(to, field, &time);
        }
        (Type::Raw, value) => {
            let mut raw = Vec::new();
            bytes(&mut raw, 1, value.to_string().as_bytes());
            bytes(to, field, &raw);
        }
        (Type::Texts, Value::Array(entries)) => {
            for entry in entries {
                match entry {
                    Value::String(text) => bytes(to, field, text.as_bytes()),
                    other => wrong(to, field, other, false),
                }
            }
        }
        (Type::Messages(fields), Value::Array(entries)) => {
            for entry in entries {
                match entry {
                    Value::Object(_) => bytes(to, field, &message(fields, entry)),
                    other => wrong(to, field, other, false),
                }
            }
        }
        (kind, value) => wrong(to, field, value, matches!(kind, Type::Number | Type::Flag)),
    }
}

/// A message.
fn message(fields: &[Field], object: &Value) -> Vec<u8> {
    let mut to = Vec::new();
    for &field in fields {
        write(&mut to, field, object);
    }
    to
}

/// An object as an item of a list; what is no object is no message either.
pub fn object(resource: Resource, object: &Value) -> Vec<u8> {
    match object {
        Value::Object(_) => message(fields(resource), object),
        other => [b"\x07", other.to_string().as_bytes()].concat(),
    }
}

/// The envelope of what is not inside another object.
fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut meta = Vec::new();
    bytes(&mut meta, 1, api_version.as_bytes());
    bytes(&mut meta, 2, kind.as_bytes());
    let mut to = b"k8s\0".to_vec();
    bytes(&mut to, 1, &meta);
    bytes(&mut to, 2, raw);
    bytes(&mut to, 3, b"");
    bytes(&mut to, 4, b"");
    to
}

/// A Status as a whole answer.
pub fn status(object: &Value) -> Vec<u8> {
    envelope("v1", "Status", &message(STATUS, object))
}

/// A list.
pub fn list(resource: Resource, metadata: &Value, items: &[&[u8]]) -> Vec<u8> {
    let mut raw = Vec::new();
    bytes(&mut raw, 1, &message(LIST_META, metadata));
    for item in items {
        bytes(&mut raw, 2, item);
    }
    envelope(resource.api_version(), &format!("{}List", resource.kind()), &raw)
}

/// An event of a watch: its frame, with its length before it. `raw` is the object as an item of a list.
pub fn event(kind: &str, (api_version, of): (&str, &str), raw: &[u8]) -> Vec<u8> {
    let (mut frame, mut object) = (Vec::new(), Vec::new());
    bytes(&mut object, 1, &envelope(api_version, of, raw));
    bytes(&mut frame, 1, kind.as_bytes());
    bytes(&mut frame, 2, &object);
    framed(&frame)
}

/// A frame with its length before it.
fn framed(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    [&length.to_be_bytes(), frame].concat()
}

/// The frame of a line of JSON that a test says to a watch: the same event, or the same nonsense.
pub fn line(resource: Resource, line: &[u8]) -> Vec<u8> {
    let Ok(said) = serde_json::from_slice::<Value>(line) else { return framed(line) };
    let (Some(kind), Value::Object(_)) = (said["type"].as_str(), &said["object"]) else {
        return framed(line);
    };
    if said["object"]["kind"] == "Status" {
        return event(kind, ("v1", "Status"), &message(STATUS, &said["object"]));
    }
    event(kind, (resource.api_version(), resource.kind()), &object(resource, &said["object"]))
}
