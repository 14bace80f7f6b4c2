//! The two languages of an API server behind one face: JSON, and protobuf where a kind has it.

use super::event::{self, INITIAL_EVENTS_END};
use super::protobuf::{self, Bad};
use super::split::{self, TooLong};
use super::trouble::Trouble;
use crate::source::SourceError;
use crate::source::object::{self, Cut};
use crate::store::change::{Kind, Object};

/// Content type of protobuf.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    /// JSON.
    Json,
    /// Kubernetes' protobuf.
    Protobuf,
}

/// An event of a watch.
pub(super) struct Event<'a> {
    /// ADDED, MODIFIED, DELETED, BOOKMARK, ERROR.
    pub(super) kind: &'a str,
    /// The object, as [`Encoding::decode`] takes it.
    pub(super) object: &'a [u8],
}

/// What watches need of an object's metadata.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Meta {
    /// The version.
    pub(super) version: String,
    /// Whether it is the bookmark that ends a list by watch.
    pub(super) ends: bool,
}

/// What a page of a list says of itself.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct PageEnd {
    /// The version of the list.
    pub(super) version: String,
    /// The token of the next page, empty for none.
    pub(super) next: String,
    /// `code`, where it is no list but a Status.
    pub(super) code: u16,
    /// `message` of a Status.
    pub(super) message: String,
}

impl Encoding {
    /// What to ask for.
    pub(super) fn accept(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            // A server that has no protobuf for a kind says so by its content type.
            Self::Protobuf => "application/vnd.kubernetes.protobuf,application/json",
        }
    }

    /// The encoding of an answer by its content type.
    pub(super) fn of(content_type: Option<&http::HeaderValue>) -> Self {
        let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        if text.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(PROTOBUF)) {
            Self::Protobuf
        } else {
            Self::Json
        }
    }

    /// Cuts an object down.
    pub(super) fn decode(self, kind: Kind, object: &[u8]) -> Result<Cut<Object>, SourceError> {
        match self {
            Self::Json => object::decode(kind, object),
            Self::Protobuf => object::decode_protobuf(kind, object),
        }
    }

    /// The event in a line or frame; `None` where it is none.
    pub(super) fn event(self, frame: &[u8]) -> Option<Event<'_>> {
        match self {
            Self::Json => {
                let event: event::Event<'_> = serde_json::from_slice(frame).ok()?;
                Some(Event { kind: event.kind, object: event.object.get().as_bytes() })
            }
            Self::Protobuf => protobuf::event(frame),
        }
    }

    /// The metadata of an object; empty where it is none.
    pub(super) fn meta(self, object: &[u8]) -> Meta {
        match self {
            Self::Json => {
                let fields = event::meta(object).metadata;
                let ends = fields.annotations.get(INITIAL_EVENTS_END).is_some_and(|value| value == "true");
                Meta { version: fields.resource_version, ends }
            }
            Self::Protobuf => protobuf::meta(object),
        }
    }

    /// Code and message of a Status in an event; `None` where it is none.
    pub(super) fn status(self, object: &[u8]) -> Option<(u16, String)> {
        match self {
            Self::Json => {
                let meta = event::meta(object);
                (meta.code != 0).then_some((meta.code, meta.message))
            }
            Self::Protobuf => protobuf::status(object),
        }
    }

    /// Code and message of a Status that came as a whole answer, without an event around it; `None` where it is none.
    pub(super) fn bare_status(self, body: &[u8]) -> Option<(u16, String)> {
        match self {
            Self::Json => self.status(body),
            Self::Protobuf => protobuf::enveloped_status(body),
        }
    }
}

/// A page of a list, while it comes.
pub(super) enum Page {
    /// In JSON.
    Json(split::Items),
    /// In protobuf.
    Protobuf(protobuf::Items),
}

impl Page {
    /// A page that has not begun.
    pub(super) fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Json => Self::Json(split::Items::default()),
            Encoding::Protobuf => Self::Protobuf(protobuf::Items::default()),
        }
    }

    /// Takes a chunk; calls `visit` with each whole item.
    pub(super) fn push(&mut self, chunk: &[u8], visit: impl FnMut(&[u8])) -> Result<(), Trouble> {
        let pushed = match self {
            Self::Json(items) => items.push(chunk, visit).map_err(Bad::from),
            Self::Protobuf(items) => items.push(chunk, visit),
        };
        pushed.map_err(|bad| match bad {
            Bad::TooLong => Trouble::Nonsense("list: an item is too long"),
            Bad::NoList => Trouble::Nonsense("list"),
        })
    }

    /// What it says of itself, at its end.
    pub(super) fn end(self) -> Result<PageEnd, Trouble> {
        let broken = || Trouble::Connection("the list broke off".to_owned());
        match self {
            Self::Json(items) => {
                let frame = items.frame().ok_or_else(broken)?;
                let meta: event::Meta =
                    serde_json::from_slice(frame).map_err(|_| Trouble::Nonsense("list"))?;
                Ok(PageEnd {
                    version: meta.metadata.resource_version,
                    next: meta.metadata.next,
                    code: meta.code,
                    message: meta.message,
                })
            }
            Self::Protobuf(items) => items.end().ok_or_else(broken),
        }
    }
}

/// The events of a watch, while they come.
pub(super) enum Events {
    /// Lines of JSON.
    Json(split::Lines),
    /// Frames of protobuf.
    Protobuf(protobuf::Frames),
}

impl Events {
    /// A watch that has not begun.
    pub(super) fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Json => Self::Json(split::Lines::default()),
            Encoding::Protobuf => Self::Protobuf(protobuf::Frames::default()),
        }
    }

    /// Takes a chunk; calls `visit` with each whole line or frame.
    pub(super) fn push(&mut self, chunk: &[u8], visit: impl FnMut(&[u8])) -> Result<(), Trouble> {
        let pushed = match self {
            Self::Json(lines) => lines.push(chunk, visit),
            Self::Protobuf(frames) => frames.push(chunk, visit),
        };
        pushed.map_err(|TooLong| Trouble::Nonsense("watch: an event is too long"))
    }

    /// What the stream ended in: a line without its end, empty where there is none. A frame that is not whole is nothing.
    pub(super) fn rest(&self) -> &[u8] {
        match self {
            Self::Json(lines) => lines.rest(),
            Self::Protobuf(_) => &[],
        }
    }
}
