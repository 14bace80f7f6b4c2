//! From the bytes of a file to its documents, and from a document to the objects in it.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::super::object::field::Field;
use super::super::object::{
    Cut, Fault, cut_gateway, cut_import, cut_ingress, cut_namespace, cut_route, cut_slice, pairs, raw,
};
use super::found::{Found, Resource, What, endpoints, label, pod, service};
use super::report::{Problem, Reason};
use crate::store::change::{HostKind, Kind, Object, ObjectKey, ServiceSpec};
use crate::yaml::{self, lead, split};

/// How deep lists of lists are followed; kubectl writes one level.
const LIST_DEPTH: usize = 4;

/// What was read from a file.
#[derive(Default, Debug)]
pub(super) struct Reading {
    /// The objects.
    pub(super) found: Vec<Found>,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// True where a document could not be read at all, so that it is not known which objects it held.
    pub(super) unread: bool,
    /// Objects that had to be left out whole.
    pub(super) refused: Vec<(Resource, ObjectKey)>,
}

/// Reads the documents of a file, YAML or, by its ending, JSON; `more` are the kinds wanted beside the usual ones.
pub(super) fn read(path: &Path, bytes: &[u8], more: &[Kind]) -> Reading {
    let mut reader = Reader { path, more, line: 1, document: 0, reading: Reading::default() };
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
            if is_json { reader.json(text) } else { reader.yaml(text) }
        }
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            reader.line = lines(good);
            reader.unread(None, Reason::Syntax { message: "is not UTF-8 text".to_owned() });
        }
    }
    reader.reading
}

/// The number of the line behind `bytes`, counted from 1.
fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().fold(1, |line, byte| line + u64::from(*byte == b'\n'))
}

/// Reads one file.
struct Reader<'a> {
    /// The file, for problems.
    path: &'a Path,
    /// The kinds wanted beside the usual ones.
    more: &'a [Kind],
    /// Where the document starts.
    line: u64,
    /// Which document it is, counted from 1.
    document: usize,
    /// What was read so far.
    reading: Reading,
}

impl Reader<'_> {
    /// Reads documents of JSON, one behind the other.
    fn json(&mut self, text: &str) {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        loop {
            let rest = text.get(stream.byte_offset()..).unwrap_or_default();
            let blank = rest.len() - rest.trim_start().len();
            self.line = lines(text.as_bytes().get(..stream.byte_offset() + blank).unwrap_or_default());
            self.document += 1;
            match stream.next() {
                None => return,
                Some(Ok(value)) => self.value(&value),
                Some(Err(error)) => {
                    let full = error.to_string();
                    let cut = full.rfind(" at line ").unwrap_or(full.len());
                    let message = format!("JSON: {}", full.get(..cut).unwrap_or(&full));
                    let at = (u64::try_from(error.line()), u64::try_from(error.column()));
                    self.line = at.0.unwrap_or(self.line);
                    self.unread(at.1.ok(), Reason::Syntax { message });
                    return;
                }
            }
        }
    }

    /// Reads documents of YAML, each on its own so that a mistake harms only one.
    fn yaml(&mut self, text: &str) {
        for (line, document) in split(text) {
            self.line = line + lead(document);
            self.document += 1;
            match yaml::value(document) {
                Ok(value) => self.value(&value),
                Err(error) => {
                    let place = error.location();
                    let message = yaml::message(&error);
                    let reason = match document.contains("{{") {
                        true => Reason::Template { message },
                        false => Reason::Syntax { message },
                    };
                    self.line = place.map_or(self.line, |place| line + place.line().saturating_sub(1));
                    self.unread(place.map(|place| place.column()), reason);
                }
            }
        }
    }

    /// Reads a document.
    fn value(&mut self, value: &Value) {
        let what = match value {
            Value::Null => return,
            Value::Object(_) => return self.item(value, ("", ""), 0),
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
        };
        self.unread(None, Reason::NotAnObject { what });
    }

    /// Reads an object or a list of them; `inherited` is the version and kind that its list gives it.
    fn item(&mut self, value: &Value, inherited: (&str, &str), depth: usize) {
        let word = |name: &str| value.get(name).and_then(Value::as_str).filter(|word| !word.is_empty());
        let version = word("apiVersion").unwrap_or(inherited.0);
        let Some(kind) = word("kind").or((!inherited.1.is_empty()).then_some(inherited.1)) else {
            let what = if value.is_object() { "a record without kind" } else { "something else" };
            return self.unread(None, Reason::NotAnObject { what });
        };
        if let Some(of) = kind.strip_suffix("List") {
            return self.list(value, (if of.is_empty() { "" } else { version }, of), depth);
        }
        match Resource::of(version, kind, self.more) {
            Ok(Some(resource)) => self.object(resource, value),
            Ok(None) => {}
            Err(reason) => {
                let key = self.key_of(value);
                let object = key
                    .map_or_else(|| kind.to_owned(), |key| format!("{kind} {}/{}", key.namespace, key.name));
                self.problem(None, Some(object), reason);
            }
        }
    }

    /// Reads the items of a list.
    fn list(&mut self, value: &Value, inherited: (&str, &str), depth: usize) {
        match value.get("items") {
            None | Some(Value::Null) => {}
            Some(Value::Array(_)) if depth >= LIST_DEPTH => {
                self.unread(None, Reason::ListDepth { limit: LIST_DEPTH });
            }
            Some(Value::Array(items)) => {
                for item in items {
                    self.item(item, inherited, depth + 1);
                }
            }
            Some(_) => self.unread(None, Reason::Fault(Fault::wrong_type("items", "a list"))),
        }
    }

    /// Namespace and name of an object, only to speak of it.
    fn key_of(&self, value: &Value) -> Option<ObjectKey> {
        let meta = value.get("metadata")?;
        let word = |name: &str| meta.get(name).and_then(Value::as_str);
        Some(ObjectKey::new(word("namespace").unwrap_or("default"), word("name")?))
    }

    /// Reads one object.
    fn object(&mut self, resource: Resource, value: &Value) {
        match resource {
            Resource::Namespace => self.cut(resource, value, |raw: &raw::Namespace<'_>| {
                (cut_namespace(raw).map(What::Namespace), &raw.metadata)
            }),
            Resource::Service => {
                self.cut(resource, value, |raw: &raw::Service<'_>| (service(raw), &raw.metadata));
            }
            Resource::EndpointSlice => self.cut(resource, value, |raw: &raw::Slice<'_>| {
                (cut_slice(raw).map(What::Slice), &raw.metadata)
            }),
            Resource::Endpoints => {
                self.cut(resource, value, |raw: &raw::Endpoints<'_>| (endpoints(raw), &raw.metadata));
            }
            Resource::Pod => self.cut(resource, value, |raw: &raw::Pod<'_>| (pod(raw), &raw.metadata)),
            Resource::More(Kind::Imports) => self.cut(resource, value, |raw: &raw::ServiceImport<'_>| {
                (cut_import(raw).map(Object::Import).map(What::More), &raw.metadata)
            }),
            Resource::More(Kind::Hosts(HostKind::Ingresses)) => {
                self.cut(resource, value, |raw: &raw::Ingress<'_>| {
                    (cut_ingress(raw).map(Object::Hosts).map(What::More), &raw.metadata)
                });
            }
            Resource::More(Kind::Hosts(HostKind::Gateways)) => {
                self.cut(resource, value, |raw: &raw::Gateway<'_>| {
                    (cut_gateway(raw).map(Object::Hosts).map(What::More), &raw.metadata)
                });
            }
            Resource::More(Kind::Hosts(kind)) => self.cut(resource, value, |raw: &raw::Route<'_>| {
                (cut_route(kind, raw).map(Object::Hosts).map(What::More), &raw.metadata)
            }),
            Resource::More(Kind::Services | Kind::EndpointSlices | Kind::Namespaces | Kind::Pods) => {}
        }
    }

    /// Decodes `value` as `T`, cuts it and keeps what is good.
    fn cut<'v, T: Deserialize<'v>>(
        &mut self,
        resource: Resource,
        value: &'v Value,
        cut: impl for<'r> FnOnce(&'r T) -> (Cut<What>, &'r Field<raw::Meta<'v>>),
    ) {
        let raw = match T::deserialize(value) {
            Ok(raw) => raw,
            Err(error) => return self.unread(None, Reason::Syntax { message: error.to_string() }),
        };
        let (Cut { key, object, faults }, meta) = cut(&raw);
        let name = key.as_ref().map_or_else(|| resource.word().to_owned(), |key| label(resource, key));
        if let Some(key) = key.clone().filter(|_| object.is_none() && !faults.is_empty()) {
            self.reading.refused.push((resource, key));
        }
        let no_address = lacks_address(object.as_ref(), &faults);
        let reasons = faults.into_iter().map(Reason::Fault).chain(no_address.then_some(Reason::NoAddress));
        for reason in reasons {
            self.problem(None, Some(name.clone()), reason);
        }
        if let Some((key, what)) = key.zip(object) {
            let labels = meta.good().map_or_else(Vec::new, |meta| pairs(&meta.labels, "", &mut Vec::new()));
            let (line, document) = (self.line, self.document);
            self.reading.found.push(Found { key, labels, line, document, what });
        }
    }

    /// Notes a document that could not be read.
    fn unread(&mut self, column: Option<u64>, reason: Reason) {
        self.reading.unread = true;
        self.problem(column, None, reason);
    }

    /// Notes a problem of this document.
    fn problem(&mut self, column: Option<u64>, object: Option<String>, reason: Reason) {
        let document = (self.document > 0).then_some(self.document);
        let file = self.path.to_path_buf();
        self.reading.problems.push(Problem { file, line: Some(self.line), column, document, object, reason });
    }
}

/// True for a Service that should have an address, has none, and of whose address nothing else is said.
fn lacks_address(object: Option<&What>, faults: &[Fault]) -> bool {
    let Some(What::Service(service)) = object else { return false };
    matches!(&service.object.spec, ServiceSpec::Cluster(addrs) if addrs.is_empty())
        && !faults.iter().any(|fault| fault.to_string().starts_with("spec.clusterIP"))
}
