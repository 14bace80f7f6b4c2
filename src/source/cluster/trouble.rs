//! What goes wrong between us and an API server, by what has to be done about it.

use std::time::Duration;

/// Why a version is no longer known: the API server said so.
pub(super) const GONE: &str = "410 Gone";

/// A failure of a list or a watch.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The version is too old (410, at the start or in the stream), or versions ran backwards: list anew.
    #[error("the version is no longer known to the API server: {0}")]
    Expired(&'static str),
    /// The server does not do lists by watch (400, 422), or never ends one.
    #[error("lists by watch are not served: {0}")]
    NoStreaming(String),
    /// We may not (403).
    #[error("forbidden: {0}")]
    Denied(String),
    /// It does not know us (401).
    #[error("not authorized: {0}")]
    Unauthorized(String),
    /// It has too much to do (429, 503): come back later.
    #[error("the API server is busy ({status})")]
    Busy {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`.
        after: Option<Duration>,
    },
    /// Any other status.
    #[error("the API server answered {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// Nothing came for too long.
    #[error("nothing came for {0:?}")]
    Mute(Duration),
    /// An audit found that what is served is not what there is: list anew.
    #[error("an audit found that what is served is not what there is")]
    Drifted,
    /// What came is no list or watch.
    #[error("what came is no {0}")]
    Nonsense(&'static str),
}

impl Trouble {
    /// The reason in a word, for label `reason`.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Expired(_) => "expired",
            Self::NoStreaming(_) => "no_streaming",
            Self::Denied(_) => "forbidden",
            Self::Unauthorized(_) => "unauthorized",
            Self::Busy { .. } => "busy",
            Self::Status { .. } => "status",
            Self::Connection(_) => "connection",
            Self::Mute(_) => "mute",
            Self::Drifted => "audit",
            Self::Nonsense(_) => "nonsense",
        }
    }

    /// Whether it may be about watches alone: a refusal, but for those that ask for less of everything (429, `Retry-After`).
    pub(super) fn is_of_watches(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Unauthorized(_) | Self::Status { .. } => true,
            Self::Busy { status, after } => *status != 429 && after.is_none(),
            _ => false,
        }
    }

    /// The HTTP status of a refusal, whether it came as an answer or inside a watch; `None` for other troubles.
    pub(super) fn refusal(&self) -> Option<u16> {
        match self {
            Self::Expired(why) => (*why == GONE).then_some(410),
            Self::Denied(_) => Some(403),
            Self::Unauthorized(_) => Some(401),
            Self::Busy { status, .. } | Self::Status { status, .. } => Some(*status),
            Self::NoStreaming(_)
            | Self::Connection(_)
            | Self::Mute(_)
            | Self::Drifted
            | Self::Nonsense(_) => None,
        }
    }
}

/// An error with its causes in one line, each fact once.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = next.source();
    }
    text
}
