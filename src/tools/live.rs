//! What is shown for as long as somebody looks: a terminal that is drawn anew, and a stream of lines.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

/// How often it is looked whether the end was asked for.
const LOOK: Duration = Duration::from_millis(50);

/// Whether the end was asked for: Ctrl-C, SIGTERM.
pub(super) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// Listens from now on. Without it the kernel ends the process, which is the end too.
    pub(super) fn listen() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // Where that can't be, the signal does what it does by itself.
            let _ = signal_hook::flag::register(signal, ended.clone());
        }
        Self(ended)
    }

    /// Waits for a while; says whether the end was asked for.
    pub(super) fn wait(&self, pause: Duration) -> bool {
        let mut left = pause;
        while !self.0.load(Ordering::Relaxed) && !left.is_zero() {
            let step = left.min(LOOK);
            std::thread::sleep(step);
            left -= step;
        }
        self.0.load(Ordering::Relaxed)
    }
}

/// Writes to stdout; says whether anybody reads it.
pub(super) fn print(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

/// Writes a line to stderr, beside what is shown.
pub(super) fn complain(text: &str) {
    // Nobody reads it: then it need not be said.
    let _ = writeln!(std::io::stderr().lock(), "signpost: {text}");
}

/// The terminal behind stdout, with its second page in use; given back when dropped.
pub(super) struct Terminal(());

impl Terminal {
    /// Whether stdout is one.
    pub(super) fn is_there() -> bool {
        std::io::stdout().is_terminal()
    }

    /// Takes it: the page that was there is kept, and no cursor blinks.
    pub(super) fn take() -> Self {
        print("\x1b[?1049h\x1b[?25l");
        Self(())
    }

    /// How many columns and lines it has; 80 and 24 where it does not say.
    pub(super) fn size() -> (usize, usize) {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|size| size.ws_col > 0);
        size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
    }

    /// What draws these lines over what was there; no line break behind the last, which would move all of them up.
    pub(super) fn frame(&self, lines: &[String]) -> String {
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}\x1b[K")).collect();
        format!("\x1b[H{}\x1b[J", lines.join("\r\n"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        print("\x1b[?25h\x1b[?1049l");
    }
}
