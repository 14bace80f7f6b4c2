//! Processors that don't halt: a virtual one that halted takes its host 0.1 to 0.3 ms to wake, which would be all that is measured.

use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// What keeps each processor awake, in the scheduler's idle class: whoever has work takes its place at once. Dropping it ends it.
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    /// One for each processor. Errors: there is no `taskset` or `chrt` (util-linux).
    pub(crate) fn start() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        let mut this = Self(Vec::new());
        for core in 0..cores {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string(), "chrt", "-i", "0", "sh", "-c", "while :; do :; done"]);
            this.0.push(command.stdin(Stdio::null()).spawn().context("starting taskset (util-linux)")?);
        }
        Ok(this)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
