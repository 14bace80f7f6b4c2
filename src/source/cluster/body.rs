//! The body of an answer, read a piece at a time.

use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::client::Body;
use tokio::time::timeout;

use super::encoding::Encoding;
use super::trouble::{Trouble, chain};

/// The text of an error answer: the message of its Status, or its beginning.
pub(super) async fn message(encoding: Encoding, mut body: Body) -> String {
    let mut text = Vec::new();
    while text.len() < 8192
        && let Ok(Some(chunk)) = next_chunk(&mut body, Duration::from_secs(5)).await
    {
        text.extend_from_slice(&chunk);
    }
    match encoding.bare_status(&text) {
        Some((_, message)) if !message.is_empty() => message,
        _ => String::from_utf8_lossy(text.get(..text.len().min(200)).unwrap_or_default()).into_owned(),
    }
}

/// The next bytes of a body; `None` at its end.
pub(super) async fn next_chunk(body: &mut Body, patience: Duration) -> Result<Option<bytes::Bytes>, Trouble> {
    loop {
        match timeout(patience, body.frame()).await {
            Err(_) => return Err(Trouble::Mute(patience)),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(Trouble::Connection(chain(&error))),
            // Trailers say nothing to us.
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
