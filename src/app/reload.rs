//! Reading a changed Corefile while serving (rule S-15).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::State;
use crate::admin::Exposition;
use crate::panics::keep;

/// How often the thread looks whether the Corefile asks for `reload` by now.
const IDLE: Duration = Duration::from_secs(3600);

/// What `/metrics` says about reloads.
#[derive(Default)]
pub(super) struct ReloadCounts {
    /// How many failed.
    failed: AtomicU64,
    /// The SHA-512 of the Corefile in force, in hexadecimal.
    hash: Mutex<String>,
}

impl ReloadCounts {
    /// A Corefile is in force.
    pub(super) fn succeeded(&self, canonical: &str) {
        let digest = ring::digest::digest(&ring::digest::SHA512, canonical.as_bytes());
        *self.hash.lock() = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    }

    /// Writes both families.
    pub(super) fn write(&self, text: &mut Exposition) {
        text.family("coredns_reload_failed_total", "counter", "Changed Corefiles that could not be used.");
        text.value("coredns_reload_failed_total", &[], self.failed.load(Ordering::Relaxed));
        text.family("coredns_reload_version_info", "gauge", "The Corefile in force.");
        let hash = self.hash.lock().clone();
        text.value("coredns_reload_version_info", &[("hash", "sha512"), ("value", &hash)], 1);
    }
}

/// What the thread is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing.
    Nothing,
    /// To read now.
    Now,
    /// To end.
    End,
}

/// The thread that looks at the Corefile.
pub(super) struct Reloader {
    /// The thread.
    thread: Option<JoinHandle<()>>,
    /// What it is told.
    told: Arc<(Mutex<Told>, Condvar)>,
}

impl Reloader {
    /// Starts to look, as often as the plan in force says.
    pub(super) fn start(
        path: PathBuf,
        state: Arc<Mutex<State>>,
        counts: Arc<ReloadCounts>,
    ) -> std::io::Result<Self> {
        let told = Arc::new((Mutex::new(Told::Nothing), Condvar::new()));
        let heard = told.clone();
        // Drawn once: the same replica always looks at its own moments.
        let draw = fastrand::f64() - 0.5;
        let look = move || {
            loop {
                let asked = state.lock().plan.admin.reload;
                let pause = asked.map_or(IDLE, |reload| {
                    reload.interval + reload.jitter.mul_f64(draw + 0.5) - reload.jitter / 2
                });
                let now = {
                    let mut told = heard.0.lock();
                    if *told == Told::Nothing {
                        heard.1.wait_for(&mut told, pause);
                    }
                    match std::mem::replace(&mut *told, Told::Nothing) {
                        Told::End => return,
                        Told::Now => true,
                        Told::Nothing => false,
                    }
                };
                if now || asked.is_some() {
                    read(&path, &state, &counts, now);
                }
            }
        };
        let thread =
            std::thread::Builder::new().name("reload".to_owned()).spawn(move || keep("reload", look))?;
        Ok(Self { thread: Some(thread), told })
    }

    /// Reads the file now.
    pub(super) fn now(&self) {
        self.tell(Told::Now);
    }

    /// Tells the thread something.
    fn tell(&self, what: Told) {
        *self.told.0.lock() = what;
        self.told.1.notify_all();
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.tell(Told::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads the file once, and puts it in force if it changed.
fn read(path: &std::path::Path, state: &Mutex<State>, counts: &ReloadCounts, told: bool) {
    let fail = |reason: &dyn std::fmt::Display| {
        counts.failed.fetch_add(1, Ordering::Relaxed);
        tracing::error!(target: "plugin/reload", "the Corefile is not used, the one in force goes on: {reason}");
    };
    let text = match crate::corefile::read_text(path) {
        Ok(text) => text,
        Err(error) => return fail(&format!("reading {}: {error}", path.display())),
    };
    let mut state = state.lock();
    match state.reload(&text) {
        Ok(true) => {
            counts.succeeded(&state.canonical);
            tracing::info!(target: "plugin/reload", "Running configuration: {} was read again", path.display());
        }
        Ok(false) if told => tracing::info!(target: "plugin/reload", "{} has not changed", path.display()),
        Ok(false) => {}
        Err(error) => fail(&error),
    }
}

#[cfg(test)]
mod tests {
    use crate::app::{ServeError, ServeOptions, serve};

    #[test]
    fn p11_a_reload_that_panics_changes_nothing_and_the_next_one_is_read() {
        let text = |more: &str| format!(".:0 {{\n bind 127.0.0.1\n whoami\n}}\n{more}");
        let running = serve(ServeOptions { text: text(""), ..ServeOptions::default() }).unwrap();
        let before = running.addresses();
        let mut state = running.state.lock();
        let panics =
            || crate::panics::counted().iter().find(|(task, _)| *task == "reload").map_or(0, |(_, n)| *n);
        let counted = panics();
        let other = "a.test:0 {\n bind 127.0.0.1\n whoami\n}\n";
        let failed = state.reload(&text(&format!("# a test has it panic\n{other}")));
        assert!(matches!(failed, Err(ServeError::Panicked)), "{failed:?}");
        assert_eq!(panics(), counted + 1);
        assert!(matches!(state.reload(&text("")), Ok(false)), "it is the one in force");
        assert!(matches!(state.reload(&text(other)), Ok(true)));
        drop(state);
        assert_eq!(running.addresses()[0], before[0]);
    }
}
