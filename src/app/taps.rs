//! Collectors of dnstap: each has its queue and its thread, which outlive reloads (rule S-27).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::ServeError;
use super::looker::Looker;
use crate::admin::Exposition;
use crate::tap::{Outlet, Sink, TapSpec};

/// How often it is told that messages were dropped. Source: coredns `plugin/dnstap/io.go`.
const TELL: Duration = Duration::from_secs(10);

/// The collectors of all lines.
#[derive(Default)]
pub(super) struct Taps {
    /// Those that are kept.
    kept: Vec<Kept>,
    /// The same, for those who write numbers.
    shown: ShownTaps,
    /// Who tells that messages were dropped.
    teller: Option<Looker>,
}

/// The queues whose numbers are told.
#[derive(Clone, Default)]
pub(super) struct ShownTaps(Arc<Mutex<Vec<Arc<Outlet>>>>);

/// A collector that is kept over plans.
struct Kept {
    /// Whether the plan that is being built, or in force, asked for it.
    used: bool,
    /// Its queue.
    outlet: Arc<Outlet>,
    /// Its thread, once the plan is to be put in force.
    sink: Option<Sink>,
}

impl ShownTaps {
    /// Writes both families, if there are collectors.
    pub(super) fn write(&self, text: &mut Exposition) {
        let shown = self.0.lock();
        for (name, help, dropped) in [
            ("signpost_dnstap_sent_total", "Messages that were sent to a collector of dnstap.", false),
            (
                "signpost_dnstap_dropped_total",
                "Messages that no collector of dnstap gets: it takes too few, or is away.",
                true,
            ),
        ] {
            if !shown.is_empty() {
                text.family(name, "counter", help);
            }
            for outlet in shown.iter() {
                let (sent, lost) = outlet.counts();
                let endpoint = outlet.spec().endpoint.to_string();
                text.value(name, &[("endpoint", &endpoint)], if dropped { lost } else { sent });
            }
        }
    }
}

impl Taps {
    /// The queue of a specification: the one that is kept, or a new one.
    pub(super) fn get(&mut self, spec: &TapSpec) -> Arc<Outlet> {
        if let Some(known) = self.kept.iter_mut().find(|kept| kept.outlet.spec() == spec) {
            known.used = true;
            return known.outlet.clone();
        }
        let outlet = Arc::new(Outlet::new(spec.clone(), host()));
        self.kept.push(Kept { used: true, outlet: outlet.clone(), sink: None });
        outlet
    }

    /// Where their numbers are found.
    pub(super) fn shown(&self) -> ShownTaps {
        self.shown.clone()
    }

    /// Before a plan is built: nothing is asked for yet.
    pub(super) fn begin(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.used = false);
    }

    /// The plan that was built is in force: what it did not ask for ends.
    pub(super) fn commit(&mut self) {
        self.kept.retain(|kept| kept.used);
        self.show();
    }

    /// The plan could not be built: what was made for it goes, what runs goes on.
    pub(super) fn abandon(&mut self) {
        self.kept.retain(|kept| kept.sink.is_some());
        self.kept.iter_mut().for_each(|kept| kept.used = true);
    }

    /// Starts the threads that are not running.
    pub(super) fn feed(&mut self) -> Result<(), ServeError> {
        for kept in self.kept.iter_mut().filter(|kept| kept.sink.is_none()) {
            kept.sink = Some(Sink::start(kept.outlet.clone()).map_err(ServeError::Start)?);
        }
        self.show();
        if self.kept.is_empty() {
            self.teller = None;
        } else if self.teller.is_none() {
            let shown = self.shown.clone();
            let mut told: Vec<(Arc<Outlet>, u64)> = Vec::new();
            let tell = move || {
                for outlet in shown.0.lock().iter() {
                    let (_, dropped) = outlet.counts();
                    let before = told.iter_mut().find(|(known, _)| Arc::ptr_eq(known, outlet));
                    let new = match before {
                        Some((_, before)) => dropped - std::mem::replace(before, dropped),
                        None => {
                            told.push((outlet.clone(), dropped));
                            dropped
                        }
                    };
                    if new > 0 {
                        tracing::warn!(
                            target: "plugin/dnstap",
                            "{}: {new} messages were dropped",
                            outlet.spec().endpoint
                        );
                    }
                }
            };
            self.teller = Some(Looker::start("dnstap", TELL, TELL, tell).map_err(ServeError::Start)?);
        }
        Ok(())
    }

    /// Ends the threads: what waits is sent.
    pub(super) fn end(&mut self) {
        self.teller = None;
        self.kept.iter_mut().for_each(|kept| kept.sink = None);
    }

    /// Tells those who write numbers what there is.
    fn show(&self) {
        *self.shown.0.lock() = self.kept.iter().map(|kept| kept.outlet.clone()).collect();
    }
}

/// The name of this machine.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
