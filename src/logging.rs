//! Log lines to stdout: written by a thread of their own, dropped and counted when stdout does not keep up.
//!
//! A query never waits for a line: the queue is bounded, and what does not fit is counted and named in the next line that
//! gets through.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Lines that wait for stdout. Unit: lines.
const QUEUE: usize = 8192;

/// What goes to the writer.
enum Message {
    /// A line without its end.
    Line(String),
    /// All lines before this one are to be written; then the sender is told.
    Flush(SyncSender<()>),
}

/// The queue of the process, once logging was started.
static LOG: OnceLock<(SyncSender<Message>, Arc<AtomicU64>)> = OnceLock::new();

/// Starts the writer and makes it the destination of all log lines of the process. Later calls do nothing.
pub fn start() {
    let (sender, receiver) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    if LOG.set((sender.clone(), dropped.clone())).is_err() {
        return;
    }
    let counter = dropped.clone();
    // Without the thread lines are dropped and counted, and serving goes on.
    let _ =
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&receiver, &counter));
    let _ = tracing_subscriber::registry().with(Lines { sender, dropped }).try_init();
}

/// Waits until the lines so far are written, at most as long as stdout takes them.
pub fn flush() {
    if let Some((sender, _)) = LOG.get() {
        let (done, wait) = sync_channel(1);
        if sender.try_send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(std::time::Duration::from_secs(1));
        }
    }
}

/// How many lines were dropped because stdout did not keep up.
#[must_use]
pub fn dropped() -> u64 {
    LOG.get().map_or(0, |(_, dropped)| dropped.load(Ordering::Relaxed))
}

/// The writer's loop: ends when nobody can send any more.
fn write_lines(receiver: &Receiver<Message>, dropped: &AtomicU64) {
    let mut told = 0;
    let mut text = String::new();
    while let Ok(first) = receiver.recv() {
        let mut flushed = Vec::new();
        // What waits goes out in one write.
        for message in std::iter::once(first).chain(receiver.try_iter().take(256)) {
            match message {
                Message::Line(line) => {
                    text.push_str(&line);
                    text.push('\n');
                }
                Message::Flush(done) => flushed.push(done),
            }
        }
        let lost = dropped.load(Ordering::Relaxed);
        if lost > told {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "[WARNING] {} log lines were dropped: stdout is too slow", lost - told);
            told = lost;
        }
        // A closed stdout loses lines, never queries.
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        text.clear();
        for done in flushed {
            let _ = done.try_send(());
        }
    }
}

/// Turns events into lines of CoreDNS's form: `[LEVEL] plugin/word: message`.
struct Lines {
    /// The writer.
    sender: SyncSender<Message>,
    /// Lines that did not fit.
    dropped: Arc<AtomicU64>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        let ours = metadata.target().starts_with("signpost")
            || metadata.target().starts_with("plugin/")
            || metadata.target() == "query";
        *metadata.level() <= if ours { Level::INFO } else { Level::WARN }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        let mut line = Line { text: String::with_capacity(160), fields: String::new() };
        let _ = write!(line.text, "[{level}] ");
        if metadata.target().starts_with("plugin/") {
            let _ = write!(line.text, "{}: ", metadata.target());
        }
        event.record(&mut line);
        line.text.push_str(&line.fields);
        if self.sender.try_send(Message::Line(line.text)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A line in the making: the message, and the fields behind it.
struct Line {
    /// The line.
    text: String,
    /// ` name=value` of each field.
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
