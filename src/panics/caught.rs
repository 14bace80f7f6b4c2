//! Panics: caught, and told in one line with their message, their place, and with `stacktrace` the road there.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// The most frames of a road that are kept, innermost first.
const FRAMES: usize = 48;

/// The longest message of a panic that is kept. Unit: characters.
const MESSAGE: usize = 512;

/// Whether a thread catches its panics now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Catching {
    /// It doesn't: a panic is printed as usual.
    Nothing,
    /// Message and place.
    Plain,
    /// The road there too.
    Stacktrace,
}

thread_local! {
    /// What this thread catches.
    static CATCHING: Cell<Catching> = const { Cell::new(Catching::Nothing) };
    /// What it caught last.
    static CAUGHT: RefCell<Option<Caught>> = const { RefCell::new(None) };
}

/// A panic that was caught; printed in one line.
#[derive(Default, Debug)]
pub(crate) struct Caught {
    /// What was said.
    message: String,
    /// File and line.
    place: String,
    /// The functions on the way there, innermost first; empty where nobody asked.
    road: String,
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = if self.message.is_empty() { "without a message" } else { &self.message };
        f.write_str(message)?;
        if !self.place.is_empty() {
            write!(f, " at {}", self.place)?;
        }
        if !self.road.is_empty() {
            write!(f, " (stack: {})", self.road)?;
        }
        Ok(())
    }
}

/// Does something; a panic in it is caught and nowhere printed.
///
/// Cost: two stores to the thread's own memory unless it panics.
pub(crate) fn catch<T>(catching: Catching, act: impl FnOnce() -> T) -> Result<T, Caught> {
    install();
    let before = CATCHING.replace(catching);
    // What a panic leaves half done in the query in hand is overwritten by the next; a step's own state is behind locks or
    // atomics.
    let done = catch_unwind(AssertUnwindSafe(act));
    CATCHING.set(before);
    done.map_err(|_| CAUGHT.take().unwrap_or_default())
}

/// Puts our hook before the one there is, once a process. Cost: one load.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // While a thread ends its variables are gone.
            let catching = CATCHING.try_with(Cell::get).unwrap_or(Catching::Nothing);
            if catching == Catching::Nothing {
                usual(info);
                return;
            }
            let payload = info.payload();
            let message = payload.downcast_ref::<&str>().copied();
            let message =
                message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
            let road = match catching {
                Catching::Stacktrace => road(&Backtrace::force_capture().to_string()),
                Catching::Nothing | Catching::Plain => String::new(),
            };
            let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
            let caught = Caught {
                // One line, whatever a message holds.
                message: message.escape_debug().take(MESSAGE).collect(),
                place: place.unwrap_or_default(),
                road,
            };
            let _ = CAUGHT.try_with(|last| last.replace(Some(caught)));
        }));
    });
}

/// A backtrace in one line: our functions and those of crates, with file and line, innermost first, from the panic to where
/// it was caught.
fn road(trace: &str) -> String {
    // Functions and their places; where a binary is stripped there are none.
    let mut frames: Vec<(&str, &str)> = Vec::new();
    for line in trace.lines().map(str::trim) {
        match (line.strip_prefix("at "), frames.last_mut()) {
            // The column is of no use.
            (Some(place), Some(frame)) => frame.1 = place.rsplit_once(':').map_or(place, |(place, _)| place),
            (Some(_), None) => {}
            (None, _) => frames.push((line.split_once(": ").map_or(line, |(_, name)| name), "")),
        }
    }
    let panics = |name: &str| name.starts_with("core::panicking::") || name.contains("begin_panic");
    let start = frames.iter().rposition(|(name, _)| panics(name)).map_or(0, |last| last + 1);
    let road: Vec<String> = frames
        .get(start..)
        .unwrap_or_default()
        .iter()
        .take_while(|(name, _)| !name.starts_with("__rust_try"))
        .filter(|(name, place)| !place.starts_with("/rustc/") && *name != "<unknown>")
        .take(FRAMES)
        .map(|(name, place)| if place.is_empty() { (*name).to_owned() } else { format!("{name} {place}") })
        .collect();
    match road.is_empty() {
        true => "unknown, this binary holds no names".to_owned(),
        false => road.join(" < "),
    }
}

#[cfg(test)]
mod tests {
    //! What is said about a panic.

    use super::*;

    /// A function to be found in a stack.
    #[inline(never)]
    fn trips(over: &str) {
        panic!("tripped over {over}");
    }

    #[test]
    fn a_panic_is_one_line_with_message_and_place() {
        let caught = catch(Catching::Plain, || trips("a\nstone")).unwrap_err().to_string();
        let (said, line) = caught.rsplit_once(':').unwrap();
        assert_eq!(said, format!("tripped over a\\nstone at {}", file!()));
        assert!(line.parse::<u32>().is_ok(), "{caught}");
    }

    #[test]
    fn with_stacktrace_it_names_the_functions_on_the_way() {
        let caught = catch(Catching::Stacktrace, || trips("one")).unwrap_err().to_string();
        assert!(!caught.contains('\n'), "{caught}");
        let (_, stack) = caught.split_once(" (stack: ").unwrap();
        assert!(stack.starts_with("signpost::panics::caught::tests::trips "), "{stack}");
        assert!(stack.contains(" < ") && stack.contains("with_stacktrace_it_names"), "{stack}");
        assert!(!stack.contains("core::panicking") && !stack.contains("panics::caught::catch "), "{stack}");
    }

    #[test]
    fn a_stripped_binary_says_why_there_is_no_stack() {
        assert_eq!(road("   0: <unknown>\n   1: <unknown>\n"), "unknown, this binary holds no names");
    }

    #[test]
    fn what_does_not_panic_comes_back_and_nests() {
        let inner = catch(Catching::Plain, || {
            let inner = catch(Catching::Plain, || trips("one"));
            assert!(inner.is_err());
            7
        });
        assert_eq!(inner.unwrap(), 7);
        let again = catch(Catching::Plain, || trips("two")).unwrap_err().to_string();
        assert!(again.starts_with("tripped over two"), "{again}");
    }

    #[test]
    fn a_payload_that_is_no_text_has_a_place_only() {
        let caught = catch(Catching::Plain, || std::panic::panic_any(5_u8)).unwrap_err().to_string();
        assert!(caught.starts_with("without a message at "), "{caught}");
    }
}
