//! A binary of which panics are ordered.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::process::{Server, binary, fetch, free_port, wait};

/// How long something may take that has to come: several panics, and the second that each costs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A binary, and where its files are.
pub(crate) struct Rig {
    /// The process.
    pub(crate) server: Server,
    /// The port of /metrics.
    metrics: u16,
    /// The files.
    pub(crate) folder: tempfile::TempDir,
}

impl Rig {
    /// Starts it in a folder. In its Corefile `PORT` stands for the port of plain DNS, `DIR` for the folder, and `METRICS` for the
    /// word that serves the counters. `orders` are those of src/panics/ordered.rs.
    pub(crate) fn start(folder: tempfile::TempDir, corefile: &str, orders: &str) -> Self {
        let (port, metrics) = (free_port(), free_port());
        let text = corefile
            .replace("PORT", &port.to_string())
            .replace("DIR", &folder.path().display().to_string())
            .replace("METRICS", &format!("prometheus 127.0.0.1:{metrics}"));
        std::fs::write(folder.path().join("Corefile"), text).unwrap();
        let mut command = binary();
        command.env("SIGNPOST_PANICS", orders).arg("-conf").arg(folder.path().join("Corefile"));
        Self { server: Server::start(command, port), metrics, folder }
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The value of a series.
    pub(crate) fn value(&self, series: &str) -> Option<u64> {
        let (_, text) = fetch(self.metrics, "/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// How often a task has panicked, by its counter.
    pub(crate) fn panics(&self, task: &str) -> u64 {
        self.value(&format!("signpost_task_panics_total{{task=\"{task}\"}}")).unwrap_or(0)
    }

    /// Waits until a task has panicked so often, by its counter and by its lines; and the process lives.
    pub(crate) fn panicked(&mut self, task: &str, times: u64) {
        wait(&format!("{times} panics of `{task}`: {:?}", self.server.lines()), PATIENCE, || {
            (self.panics(task) >= times).then_some(())
        });
        let start = format!("[ERROR] the task `{task}` panicked and goes on: ordered by SIGNPOST_PANICS at ");
        wait(&format!("{times} lines of `{task}`"), PATIENCE, || {
            let lines = self.server.lines();
            let told = lines.iter().filter(|line| line.starts_with(&start)).count();
            (u64::try_from(told).unwrap() >= times).then_some(())
        });
        assert!(self.server.runs(), "{task}: the process has ended");
    }

    /// Waits until a name has this address.
    pub(crate) fn answers(&self, name: &str, address: &str) {
        let wanted: IpAddr = address.parse().unwrap();
        wait(&format!("{address} of {name}: {:?}", self.server.lines()), PATIENCE, || {
            (self.server.ask(name)? == (0, vec![wanted])).then_some(())
        });
    }

    /// Waits for a line.
    pub(crate) fn says(&self, what: &str) {
        wait(&format!("`{what}` in {:?}", self.server.lines()), PATIENCE, || {
            self.server.lines().iter().any(|line| line.contains(what)).then_some(())
        });
    }
}

/// An empty folder.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
