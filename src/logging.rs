//! Log lines to stdout: written by a thread of their own, dropped and counted when stdout does not keep up.
//!
//! A query never waits for a line: the queue is bounded, and what does not fit is counted and named in the next line that
//! gets through. The writer is woken for a bunch of lines, not for each: once the first line is there it rests for
//! `BUNCH` without waiting on the queue, so that whoever sends meanwhile has nobody to wake. Without lines it sleeps.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::panics::{keep, turn};

/// Lines that wait for stdout. Unit: lines.
const QUEUE: usize = 8192;

/// How long lines gather before they are written together.
const BUNCH: Duration = Duration::from_millis(5);

/// The most lines of one write.
const WRITE: usize = 1024;

/// A buffer that grew beyond this is given back. Unit: bytes.
const KEPT: usize = 256 * 1024;

/// The target of lines that are JSON.
const JSON: &str = "query/json";

/// How long `flush` goes on.
const FLUSH: Duration = Duration::from_secs(1);

/// How often `flush` looks for a place in a full queue.
const LOOK: Duration = Duration::from_millis(2);

/// What goes to the writer.
enum Message {
    /// A line without its end.
    Line(String),
    /// All lines before this one are to be written; then the sender is told.
    Flush(SyncSender<()>),
}

/// The queue of the process, once logging was started.
static LOG: OnceLock<(SyncSender<Message>, Arc<AtomicU64>)> = OnceLock::new();

/// Whether lines of level DEBUG are written.
static DEBUG: AtomicBool = AtomicBool::new(false);

/// Says whether lines of level DEBUG are written, as `debug` in a Corefile asks.
pub fn set_debug(on: bool) {
    DEBUG.store(on, Ordering::Relaxed);
}

/// Starts the writer and makes it the destination of all log lines of the process. Later calls do nothing.
pub fn start() {
    let (sender, receiver) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    if LOG.set((sender.clone(), dropped.clone())).is_err() {
        return;
    }
    let counter = dropped.clone();
    // First: what the thread itself has to say is a line as well.
    let _ = tracing_subscriber::registry().with(Lines { sender, dropped }).try_init();
    // Without the thread lines are dropped and counted, and serving goes on.
    let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        let mut hand = Hand::default();
        keep("log", || write_lines(&receiver, &counter, &mut hand));
    });
}

/// Writes a line as it is, behind those that wait; like them it is dropped and counted where stdout does not keep up.
///
/// Stdout itself is the writer's alone once it was started: who takes it may wait for ever behind what nobody reads.
pub fn print(text: &str) {
    if let Some((sender, dropped)) = LOG.get()
        && sender.try_send(Message::Line(text.to_owned())).is_err()
    {
        dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until the lines so far are written, at most as long as stdout takes them and not much longer than a second.
pub fn flush() {
    let Some((sender, _)) = LOG.get() else { return };
    let (done, wait) = sync_channel(1);
    // A full queue has a place again as soon as stdout took something.
    for _ in 0..FLUSH.as_millis() / LOOK.as_millis() {
        if sender.try_send(Message::Flush(done.clone())).is_ok() {
            // What is not written by then stays unwritten.
            let _ = wait.recv_timeout(FLUSH);
            return;
        }
        std::thread::sleep(LOOK);
    }
}

/// How many lines were dropped because stdout did not keep up.
#[must_use]
pub fn dropped() -> u64 {
    LOG.get().map_or(0, |(_, dropped)| dropped.load(Ordering::Relaxed))
}

/// What the writer has in hand, which outlives a panic of it.
#[derive(Default)]
struct Hand {
    /// Lines that were taken off the queue and are not written.
    text: String,
    /// Whether they are being written.
    writing: bool,
    /// How many dropped lines were named.
    told: u64,
}

/// The writer's loop: ends when nobody can send any more.
fn write_lines(receiver: &Receiver<Message>, dropped: &AtomicU64, hand: &mut Hand) {
    let write = |text: &[u8]| {
        // A closed stdout loses lines, never queries.
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text).and_then(|()| stdout.flush());
    };
    write_to(receiver, dropped, hand, Out { rest: || std::thread::sleep(BUNCH), write });
}

/// What the writer does beside taking lines.
struct Out<R, W> {
    /// Lets lines gather.
    rest: R,
    /// Writes a bunch of them.
    write: W,
}

/// Writes bunches of lines, one call a bunch.
fn write_to(
    receiver: &Receiver<Message>,
    dropped: &AtomicU64,
    hand: &mut Hand,
    mut out: Out<impl FnMut(), impl FnMut(&[u8])>,
) {
    if std::mem::take(&mut hand.writing) {
        // Part of it may be out already, and it may be what the writing panicked at.
        hand.text.clear();
    }
    while let Ok(mut first) = receiver.recv().map(Some) {
        // A line that waits alone is nearly always the first of many; somebody who waits for the end is not kept.
        if matches!(first, Some(Message::Line(_))) {
            (out.rest)();
        }
        loop {
            let (mut taken, mut flushed) = (0, Vec::new());
            for message in first.take().into_iter().chain(receiver.try_iter()).take(WRITE) {
                taken += 1;
                match message {
                    Message::Line(line) => {
                        hand.text.push_str(&line);
                        hand.text.push('\n');
                    }
                    Message::Flush(done) => flushed.push(done),
                }
            }
            let lost = dropped.load(Ordering::Relaxed);
            if lost > hand.told {
                let more = lost - hand.told;
                // Writing into a String cannot fail.
                let _ = writeln!(hand.text, "[WARNING] {more} log lines were dropped: stdout is too slow");
                hand.told = lost;
            }
            turn("log");
            hand.writing = true;
            (out.write)(hand.text.as_bytes());
            hand.writing = false;
            hand.text.clear();
            hand.text.shrink_to(KEPT);
            for done in flushed {
                let _ = done.try_send(());
            }
            if taken < WRITE {
                break;
            }
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

impl Lines {
    /// Whether an event is one of ours at level DEBUG, which are written only on demand.
    fn on_demand(metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::DEBUG && metadata.target().starts_with("plugin/")
    }

    /// Whether an event is always written.
    fn always(metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let ours = ["signpost", "plugin/"].iter().any(|front| target.starts_with(front))
            || target == "query"
            || target == JSON;
        *metadata.level() <= if ours { Level::INFO } else { Level::WARN }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match (Self::always(metadata), Self::on_demand(metadata)) {
            (true, _) => Interest::always(),
            (false, true) => Interest::sometimes(),
            (false, false) => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        Self::always(metadata) || Self::on_demand(metadata) && DEBUG.load(Ordering::Relaxed)
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
        // A line of JSON is JSON from its first letter to its last.
        if metadata.target() != JSON {
            let _ = write!(line.text, "[{level}] ");
        }
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

#[cfg(test)]
mod tests {
    //! The writer with a queue and a stdout of the test.

    use std::cell::{Cell, RefCell};

    use super::*;

    /// Sends these messages, ends the queue, and collects what each write got.
    fn written(messages: Vec<Message>, dropped: u64) -> Vec<String> {
        let (sender, receiver) = sync_channel(QUEUE);
        for message in messages {
            sender.try_send(message).map_err(|_| "the queue is long enough").unwrap();
        }
        drop(sender);
        let mut writes = Vec::new();
        let write = |text: &[u8]| writes.push(String::from_utf8_lossy(text).into_owned());
        write_to(&receiver, &AtomicU64::new(dropped), &mut Hand::default(), Out { rest: || (), write });
        writes
    }

    /// So many lines.
    fn lines(count: usize) -> Vec<Message> {
        (0..count).map(|number| Message::Line(number.to_string())).collect()
    }

    #[test]
    fn lines_that_wait_together_are_written_together_and_in_order() {
        assert_eq!(written(lines(3), 0), ["0\n1\n2\n"]);
        let writes = written(lines(WRITE * 2 + 1), 0);
        assert_eq!(writes.len(), 3, "no write is longer than {WRITE} lines");
        let all: Vec<String> = writes.concat().lines().map(ToOwned::to_owned).collect();
        assert_eq!(all, (0..=WRITE * 2).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn whoever_sends_line_after_line_finds_the_writer_at_rest_and_only_the_first_line_wakes_it() {
        assert!(BUNCH > Duration::ZERO);
        let (sender, receiver) = sync_channel(QUEUE);
        // What others send while the writer rests and while it writes is sent in its own calls here.
        let (sender, sent) = (RefCell::new(Some(sender)), Cell::new(0));
        let more = |count: u32| {
            for number in sent.get()..sent.get() + count {
                let line = Message::Line(number.to_string());
                sender.borrow().as_ref().unwrap().send(line).unwrap();
            }
            sent.set(sent.get() + count);
        };
        more(1);
        let (mut rests, mut writes) = (0, Vec::<String>::new());
        let (dropped, mut hand) = (AtomicU64::new(0), Hand::default());
        let rest = || {
            rests += 1;
            more(19);
        };
        let write = |text: &[u8]| {
            writes.push(String::from_utf8_lossy(text).into_owned());
            match writes.len() {
                // Nobody sends any more.
                100 => drop(sender.take()),
                _ => more(1),
            }
        };
        write_to(&receiver, &dropped, &mut hand, Out { rest, write });
        assert_eq!(
            (rests, writes.len(), sent.get()),
            (100, 100, 2000),
            "one rest and one write for twenty lines"
        );
        let numbers: Vec<u32> = writes.concat().lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
    }

    #[test]
    fn somebody_who_waits_for_the_end_is_not_kept_by_a_rest() {
        let (sender, receiver) = sync_channel(QUEUE);
        let (done, wait) = sync_channel(1);
        sender.send(Message::Flush(done)).unwrap();
        drop(sender);
        let out = Out { rest: || panic!("nobody sends meanwhile"), write: |_: &[u8]| () };
        write_to(&receiver, &AtomicU64::new(0), &mut Hand::default(), out);
        assert!(wait.try_recv().is_ok());
    }

    #[test]
    fn lost_lines_are_named_once() {
        let writes = written(lines(WRITE + 1), 7).concat();
        assert_eq!(writes.matches("[WARNING] 7 log lines were dropped: stdout is too slow\n").count(), 1);
    }

    #[test]
    fn a_flush_is_told_after_the_lines_before_it_are_written() {
        let (done, wait) = sync_channel(1);
        let mut messages = lines(2);
        messages.push(Message::Flush(done));
        let (sender, receiver) = sync_channel(QUEUE);
        for message in messages {
            sender.try_send(message).map_err(|_| "the queue is long enough").unwrap();
        }
        drop(sender);
        let mut told_early = false;
        let mut text = String::new();
        let write = |bytes: &[u8]| {
            told_early |= wait.try_recv().is_ok();
            text.push_str(&String::from_utf8_lossy(bytes));
        };
        write_to(&receiver, &AtomicU64::new(0), &mut Hand::default(), Out { rest: || (), write });
        assert!(!told_early && wait.try_recv().is_ok());
        assert_eq!(text, "0\n1\n");
    }
    #[test]
    fn p11_a_writer_that_panics_loses_what_it_was_writing_and_tells_nothing_twice() {
        let (sender, receiver) = sync_channel(QUEUE);
        for message in lines(WRITE + 2) {
            sender.try_send(message).map_err(|_| "the queue is long enough").unwrap();
        }
        drop(sender);
        let (dropped, mut hand) = (AtomicU64::new(3), Hand::default());
        let mut writes: Vec<String> = Vec::new();
        let mut times = 0;
        keep("test: log", || {
            let write = |text: &[u8]| {
                times += 1;
                assert!(times != 1, "the first write goes wrong");
                writes.push(String::from_utf8_lossy(text).into_owned());
            };
            write_to(&receiver, &dropped, &mut hand, Out { rest: || (), write });
        });
        assert_eq!(writes.concat(), format!("{}\n{}\n", WRITE, WRITE + 1));
        assert!(crate::panics::counted().contains(&("test: log", 1)));
    }
}
