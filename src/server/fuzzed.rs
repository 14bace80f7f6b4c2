//! What is fuzzed behind the doors of this room: requests over HTTP before they are answered, and the headers of proxies.

use std::net::SocketAddr;

use super::encrypted::request::{Asks, judge, may_be_query};
use super::gate::proxy::{Front, Header, MOST, read};

/// What a request over HTTP asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// The message in its path, and whether it may be a query.
    Message(Vec<u8>, bool),
    /// The message in its body.
    Body,
    /// What the client is told.
    Status(u16),
}

/// Judges the head of a request.
pub(crate) fn request(head: &http::request::Parts) -> Request {
    match judge(head) {
        Ok(Asks::Message(message)) => {
            let may = may_be_query(&message);
            Request::Message(message, may)
        }
        Ok(Asks::Body) => Request::Body,
        Err(status) => Request::Status(status.as_u16()),
    }
}

/// What stands at the front of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Proxied {
    /// Perhaps a header, once more bytes are there.
    Incomplete,
    /// Something else.
    Nothing,
    /// A header that is none.
    Broken,
    /// A header: its version, its length, and the client.
    Header(u8, usize, Option<SocketAddr>),
}

/// The most bytes of a header.
pub(crate) const LONGEST_HEADER: usize = MOST;

/// Reads the header of a proxy.
pub(crate) fn proxied(bytes: &[u8]) -> Proxied {
    match read(bytes) {
        Front::Incomplete => Proxied::Incomplete,
        Front::Nothing => Proxied::Nothing,
        Front::Broken => Proxied::Broken,
        Front::Header(Header { version, length, origin }) => {
            Proxied::Header(version, length, origin.map(|origin| origin.client))
        }
    }
}
