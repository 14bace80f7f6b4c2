//! One request to an API server: good answers as a body, all others as the trouble that they stand for.

use std::time::Duration;

use kube::client::Body;

use super::access::Connection;
use super::body::message;
use super::encoding::Encoding;
use super::event::status;
use super::trouble::Trouble;

/// Asks for `target`, in the forms of `accept`; returns the body of a good answer, and how it is written.
///
/// Errors: what an answer of another status stands for, no connection, no answer in time.
pub(super) async fn fetch(
    connection: &Connection,
    target: String,
    accept: &'static str,
) -> Result<(Encoding, Body), Trouble> {
    let request = http::Request::get(target)
        .header(http::header::ACCEPT, accept)
        .header(http::header::USER_AGENT, concat!("signpost/", env!("CARGO_PKG_VERSION")))
        .body(Body::empty())
        .map_err(|error| Trouble::Connection(error.to_string()))?;
    let answer = connection.send(request).await?;
    let encoding = Encoding::of(answer.headers().get(http::header::CONTENT_TYPE));
    if answer.status().is_success() {
        return Ok((encoding, answer.into_body()));
    }
    let code = answer.status().as_u16();
    let after = answer
        .headers()
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let message = message(encoding, answer.into_body()).await;
    Err(status(code, after, message))
}
