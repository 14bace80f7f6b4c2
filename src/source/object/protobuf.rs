//! Objects in Kubernetes' protobuf: the fields that we read, by their numbers; all others are passed over.
//!
//! ```text
//!  bytes ── Message (field by field, borrowed) ──► raw (as from JSON) ── cut ──► Cut
//! ```
//!
//! Numbers are those of the generated.proto files of k8s.io/api and k8s.io/apimachinery. A text that is empty counts as not there: the
//! encoder writes those that JSON leaves out.

use super::cut::{Cut, cut_namespace, cut_pod, cut_service, cut_slice};
use super::field::{Annotations, Field, Pairs, Text};
use super::raw;
use crate::source::SourceError;
use crate::store::change::{Kind, Object};

/// The most entries of one list: no object has more, and bytes that say so are not believed.
const MOST: usize = 1 << 16;

/// Bytes that are no message.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
#[error("the bytes are no protobuf message")]
pub struct Malformed;

/// The value of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    /// A number or a flag.
    Number(u64),
    /// Text, bytes, or a message.
    Bytes(&'a [u8]),
    /// Four or eight bytes, which none of our fields is.
    Fixed,
}

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// The bytes that were not read yet.
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message in these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field; `None` at the end. Errors: bytes that are no field.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.number()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed)?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        Ok(Some((tag >> 3, value)))
    }

    /// Takes bytes.
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes a number of up to ten bytes.
    fn number(&mut self) -> Result<u64, Malformed> {
        let (number, length) = number(self.rest)?.ok_or(Malformed)?;
        self.take(length)?;
        Ok(number)
    }
}

/// The number at the front of `bytes` and its length; `None` where they end before it does. Errors: more than 64 bits.
pub(crate) fn number(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let mut number = 0_u64;
    for (at, &byte) in bytes.iter().enumerate() {
        if at == 9 && byte > 1 {
            return Err(Malformed);
        }
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((number, at + 1)));
        }
    }
    Ok(None)
}

/// A text, absent where it is empty.
pub(crate) fn text(value: Value<'_>) -> Field<Text<'_>> {
    match entry(value) {
        Field::Is(text) if text.is_empty() => Field::Absent,
        other => other,
    }
}

/// A text, empty or not.
fn entry(value: Value<'_>) -> Field<Text<'_>> {
    match value {
        Value::Bytes(bytes) => {
            std::str::from_utf8(bytes).map_or(Field::Wrong, |text| Field::Is(Text::Borrowed(text)))
        }
        Value::Number(_) | Value::Fixed => Field::Wrong,
    }
}

/// An integer; negative ones are written with all of their 64 bits.
fn integer(value: Value<'_>) -> Field<i64> {
    match value {
        Value::Number(number) => Field::Is(number.cast_signed()),
        Value::Bytes(_) | Value::Fixed => Field::Wrong,
    }
}

/// `true` or `false`.
fn flag(value: Value<'_>) -> Field<bool> {
    match value {
        Value::Number(number) => Field::Is(number != 0),
        Value::Bytes(_) | Value::Fixed => Field::Wrong,
    }
}

/// Something of which only counts that it is there.
fn presence(_value: Value<'_>) -> Field<Text<'_>> {
    Field::Is(Text::Borrowed("set"))
}

/// What is read from a message.
trait Read<'a>: Default {
    /// Takes a field in; one that is not ours is passed over. Errors: too many entries of a list.
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed>;

    /// Reads a whole message.
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut read = Self::default();
        let mut message = Message::new(bytes);
        while let Some((number, value)) = message.next()? {
            read.take(number, value)?;
        }
        Ok(read)
    }
}

/// A message inside a message; one that is none costs its field.
fn nested<'a, T: Read<'a>>(value: Value<'a>) -> Field<T> {
    match value {
        Value::Bytes(bytes) => T::read(bytes).map_or(Field::Wrong, Field::Is),
        Value::Number(_) | Value::Fixed => Field::Wrong,
    }
}

/// Adds an entry to a list.
fn push<T>(list: &mut Field<Vec<Field<T>>>, entry: Field<T>) -> Result<(), Malformed> {
    match list {
        Field::Is(list) if list.len() >= MOST => return Err(Malformed),
        Field::Is(list) => list.push(entry),
        Field::Absent | Field::Wrong => *list = Field::Is(vec![entry]),
    }
    Ok(())
}

/// Says which numbers the fields of a record have: `=` for one value, `+` for an entry of a list.
macro_rules! numbers {
    ($($name:ident $(<$life:lifetime>)? { $($number:literal $how:tt $field:ident: $read:expr,)* })*) => {$(
        impl<'a> Read<'a> for raw::$name $(<$life>)? {
            fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
                match number {
                    $($number => numbers!(@ $how self.$field, $read(value)),)*
                    _ => {}
                }
                Ok(())
            }
        }
    )*};
    (@ = $place:expr, $value:expr) => { $place = $value };
    (@ + $place:expr, $value:expr) => { push(&mut $place, $value)? };
}

numbers! {
    Service<'a> { 1 = metadata: nested, 2 = spec: nested, 3 = status: nested, }
    ServiceSpec<'a> {
        1 + ports: nested,
        3 = cluster_ip: text,
        4 = service_type: text,
        5 + external_ips: entry,
        10 = external_name: text,
        18 + cluster_ips: entry,
    }
    BalancedStatus<'a> { 1 = load_balancer: nested, }
    LoadBalancer<'a> { 1 + ingress: nested, }
    LoadBalancerIngress<'a> { 1 = ip: text, 2 = hostname: text, }
    Port<'a> { 1 = name: text, 2 = protocol: text, 3 = port: integer, }
    Slice<'a> { 1 = metadata: nested, 2 + endpoints: nested, 3 + ports: nested, 4 = address_type: text, }
    SliceEndpoint<'a> {
        1 + addresses: entry,
        2 = conditions: nested,
        3 = hostname: text,
        4 = target_ref: nested,
        7 = zone: text,
    }
    SliceConditions { 1 = ready: flag, }
    TargetRef<'a> { 1 = kind: text, 3 = name: text, }
    Namespace<'a> { 1 = metadata: nested, }
    Pod<'a> { 1 = metadata: nested, 2 = spec: nested, 3 = status: nested, }
    PodSpec<'a> { 16 = hostname: text, 17 = subdomain: text, }
    PodStatus<'a> { 1 = phase: text, 6 = pod_ip: text, 12 + pod_ips: nested, }
    PodAddress<'a> { 1 = ip: text, }
}

impl<'a> Read<'a> for raw::Meta<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.name = text(value),
            3 => self.namespace = text(value),
            5 => self.uid = text(value),
            6 => self.resource_version = text(value),
            9 => self.deletion_timestamp = presence(value),
            11 => {
                let pairs = match &mut self.labels {
                    Field::Is(pairs) => pairs,
                    labels => {
                        *labels = Field::Is(Pairs::default());
                        return self.take(number, value);
                    }
                };
                let Some((key, label)) = pair(value) else { return Ok(()) };
                match label {
                    _ if pairs.entries.len() + pairs.wrong.len() >= MOST => return Err(Malformed),
                    Field::Is(label) => pairs.entries.push((key, label)),
                    Field::Absent => pairs.entries.push((key, Text::Borrowed(""))),
                    Field::Wrong => pairs.wrong.push(key),
                }
            }
            12 => {
                if let Some((key, Field::Is(at))) = pair(value)
                    && key == "endpoints.kubernetes.io/last-change-trigger-time"
                {
                    self.annotations = Field::Is(Annotations { triggered: Some(at) });
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Key and value of an entry of a map; `None` where it has no good key.
pub(crate) fn pair(value: Value<'_>) -> Option<(Text<'_>, Field<Text<'_>>)> {
    let Value::Bytes(bytes) = value else { return None };
    let (mut key, mut label) = (Field::Absent, Field::Absent);
    let mut message = Message::new(bytes);
    while let Ok(Some((number, value))) = message.next() {
        match number {
            1 => key = entry(value),
            2 => label = entry(value),
            _ => {}
        }
    }
    match key {
        Field::Is(key) => Some((key, label)),
        Field::Absent | Field::Wrong => None,
    }
}

/// Decodes one object of `kind` from protobuf, without an envelope, as it stands in a list.
///
/// Errors: [`SourceError::Protobuf`] where the bytes are no message, or the kind has none; everything else is a
/// [`super::Fault`].
/// Cost:   one pass; texts are borrowed until they are kept.
pub fn decode_protobuf(kind: Kind, bytes: &[u8]) -> Result<Cut<Object>, SourceError> {
    let fail = |source| SourceError::Protobuf { source };
    Ok(match kind {
        Kind::Services => cut_service(&raw::Service::read(bytes).map_err(fail)?).map(Object::Service),
        Kind::EndpointSlices => cut_slice(&raw::Slice::read(bytes).map_err(fail)?).map(Object::Slice),
        Kind::Namespaces => cut_namespace(&raw::Namespace::read(bytes).map_err(fail)?).map(Object::Namespace),
        Kind::Pods => cut_pod(&raw::Pod::read(bytes).map_err(fail)?).map(Object::Pod),
        Kind::Imports | Kind::Hosts(_) => return Err(fail(Malformed)),
    })
}
