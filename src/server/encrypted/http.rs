//! A request over HTTP from its head to its reply, whatever carries it.

use std::rc::Rc;

use bytes::{Buf, Bytes};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::time::timeout;

use super::door::Door;
use super::guest::Guest;
use super::request::{Asks, MESSAGE, judge, may_be_query};
use super::room::Peer;
use crate::wire::{MAX_MESSAGE, freshness};

/// The body of a request.
pub(super) trait Body {
    /// A part of it.
    type Part: Buf;

    /// The next part; `None` at the end. Errors: the connection failed.
    fn next(&mut self) -> impl Future<Output = Option<Result<Self::Part, ()>>>;
}

/// Answers a request: the head of the response and what is in its body.
pub(super) async fn answer(
    door: &Rc<Door>,
    guest: &Rc<Guest>,
    peer: &Peer,
    head: Parts,
    body: impl Body,
) -> (Response<()>, Bytes) {
    let mut response = Response::new(());
    let result = exchange(door, guest, peer, head, body).await;
    let headers = response.headers_mut();
    let (status, reply) = match result {
        Ok(reply) => {
            headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(MESSAGE));
            if let Ok(age) = format!("max-age={}", freshness(&reply)).try_into() {
                headers.insert(CACHE_CONTROL, age);
            }
            (StatusCode::OK, Bytes::from(reply))
        }
        Err(status) => {
            if status == StatusCode::METHOD_NOT_ALLOWED {
                headers.insert(ALLOW, http::HeaderValue::from_static("GET, POST"));
            }
            (status, Bytes::new())
        }
    };
    *response.status_mut() = status;
    door.traffic.answered(status.as_u16());
    (response, reply)
}

/// The reply to a request. Errors: what the client is told instead.
async fn exchange(
    door: &Rc<Door>,
    guest: &Rc<Guest>,
    peer: &Peer,
    head: Parts,
    body: impl Body,
) -> Result<Vec<u8>, StatusCode> {
    guest.breath().await;
    let mut query = guest.begin();
    let judged = judge(&head);
    // The head stands in what was read of the connection: while its body or its answer is awaited, nobody holds that.
    drop(head);
    let asks = match judged {
        // Whoever still sends learns of the end of the connection before it reads the status: what little follows is read.
        Err(StatusCode::PAYLOAD_TOO_LARGE) => {
            let _ = timeout(door.times().partial, waste(body)).await;
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        asks => asks?,
    };
    let message = match asks {
        Asks::Message(message) if query.keep(message.len()) => message,
        Asks::Message(_) => return Err(StatusCode::SERVICE_UNAVAILABLE),
        Asks::Body => {
            let whole = timeout(door.times().partial, collect(body, &mut query)).await;
            whole.map_err(|_| StatusCode::REQUEST_TIMEOUT)??
        }
    };
    if message.len() > MAX_MESSAGE {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    if !may_be_query(&message) {
        return Err(StatusCode::BAD_REQUEST);
    }
    guest.readable().await;
    // A query that a step drops has no reply anywhere.
    door.room.ask(message, &mut query, peer).await.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Reads a body that nobody wants, up to twice the longest message, and keeps nothing of it.
async fn waste(mut body: impl Body) {
    let mut left = 2 * MAX_MESSAGE;
    while let Some(Ok(part)) = body.next().await {
        let length = part.remaining();
        if length >= left {
            break;
        }
        left -= length;
    }
}

/// The whole body. Errors: it is longer than any message, or its connection keeps too much of others already.
async fn collect(mut body: impl Body, query: &mut super::guest::Query) -> Result<Vec<u8>, StatusCode> {
    let mut message = Vec::new();
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|()| StatusCode::BAD_REQUEST)?;
        if message.len() + part.remaining() > MAX_MESSAGE {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        if !query.keep(part.remaining()) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        // As much as came: room for twice as much would be counted nowhere.
        message.reserve_exact(part.remaining());
        while part.has_remaining() {
            let chunk = part.chunk();
            message.extend_from_slice(chunk);
            let length = chunk.len();
            part.advance(length);
        }
    }
    Ok(message)
}
