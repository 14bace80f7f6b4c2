//! What the server logs while the tests run.
#![allow(dead_code, reason = "each test target uses a part of it")]

use std::fmt;
use std::sync::{Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Every event so far, its fields in one line.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Begins to keep events, once a process.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Keep);
        // Another subscriber can only be one of this process; then these tests see no event, and fail where they want one.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// How many events there are that `matches`.
pub(crate) fn count(matches: impl Fn(&str) -> bool) -> usize {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|line| matches(line)).count()
}

/// Keeps events.
struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if !target.starts_with("signpost") {
            return;
        }
        let mut line = Line(format!("{} {target}", event.metadata().level()));
        event.record(&mut line);
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }
}

/// A line while fields are added.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}
