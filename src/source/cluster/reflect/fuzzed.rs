//! What is fuzzed behind the doors of this room: what an API server sends, from the body of an answer to changes.

use std::rc::Rc;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::Timing;
use super::super::access::{Access, Connection};
use super::super::encoding::{Encoding, Events, Page};
use super::super::feed::Feed;
use super::super::throttle::ThrottleOptions;
use super::super::trouble::Trouble;
use super::{Reflector, ReflectorOptions, Stream};
use crate::metrics::ClusterCounts;
use crate::store::change::{Change, Kind, Sink};

/// A language of API servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Language {
    /// JSON.
    Json,
    /// Protobuf.
    Protobuf,
}

impl Language {
    /// How it is read.
    fn encoding(self) -> Encoding {
        match self {
            Self::Json => Encoding::Json,
            Self::Protobuf => Encoding::Protobuf,
        }
    }
}

/// Writes changes down.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Change>>>);

impl Sink for Notes {
    fn change(&mut self, change: Change) {
        self.0.lock().push(change);
    }

    fn settle(&mut self) {}
}

/// What a watch came to: its changes in order, how it ended, and the version that is known then.
pub(crate) type Watched = (Vec<Change>, String, String);

/// Reads a watch that comes in these pieces, as a reflector does that has a list at version 5, or is listing.
pub(crate) fn watch(language: Language, kind: Kind, listing: bool, pieces: &[&[u8]]) -> Watched {
    let notes = Notes::default();
    let access = Access::Endpoint { url: "http://192.0.2.1".to_owned(), tls: None };
    let timing = Timing::default();
    let connection =
        Connection::new(access, ThrottleOptions::default(), timing, Arc::new(ClusterCounts::default()));
    let feed = Rc::new(Feed::new(Box::new(notes.clone())));
    let options = ReflectorOptions { kind, labels: None, timing, track: Rc::default(), seed: 1 };
    let mut reflector = Reflector::new(options, Rc::new(connection), feed);
    reflector.version = "5".to_owned();
    let mut stream = Stream { listing, heard: false };
    let ended = reflector.read(language.encoding(), pieces, &mut stream);
    let changes = std::mem::take(&mut *notes.0.lock());
    (changes, format!("{ended:?}"), reflector.version)
}

impl Reflector {
    /// `read_events` without a network: what came in these pieces, and then the end.
    fn read(&mut self, encoding: Encoding, pieces: &[&[u8]], stream: &mut Stream) -> Result<(), Trouble> {
        let mut events = Events::new(encoding);
        for piece in pieces {
            self.take(&mut events, piece, encoding, stream)?;
        }
        let rest = events.rest();
        if rest.is_empty() { Ok(()) } else { self.event(encoding, rest, stream) }
    }
}

/// The lines or frames of a watch, and what is left at its end; `None` where it is given up.
pub(crate) fn frames(language: Language, pieces: &[&[u8]]) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let mut events = Events::new(language.encoding());
    let mut frames = Vec::new();
    for piece in pieces {
        events.push(piece, |frame| frames.push(frame.to_vec())).ok()?;
    }
    let rest = events.rest().to_vec();
    Some((frames, rest))
}

/// What an event says: its kind and its object.
pub(crate) fn event(language: Language, frame: &[u8]) -> Option<(String, Vec<u8>)> {
    language.encoding().event(frame).map(|event| (event.kind.to_owned(), event.object.to_vec()))
}

/// What a page of a list says: its items, and version, token, code and message; `None` where it has no end.
pub(crate) type Listed = (Vec<Vec<u8>>, Option<(String, String, u16, String)>);

/// Reads a page of a list that comes in these pieces; without an end where it is given up.
pub(crate) fn page(language: Language, pieces: &[&[u8]]) -> Listed {
    let mut page = Page::new(language.encoding());
    let mut items = Vec::new();
    for piece in pieces {
        if page.push(piece, |item| items.push(item.to_vec())).is_err() {
            return (items, None);
        }
    }
    let end = page.end().ok().map(|end| (end.version, end.next, end.code, end.message));
    (items, end)
}
