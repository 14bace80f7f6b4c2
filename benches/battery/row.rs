//! A row: what it is about, its bars, and what was found.

use std::cell::OnceCell;
use std::time::Duration;

use super::api::FakeApi;
use super::objects::{Scale, USUAL};
use super::rig::Kind;

/// The cluster of row A8: 100,000 endpoints.
pub(crate) const WIDE: Scale = Scale { services: 10_000, endpoints: 10 };

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measures {
    /// How long an outage and a flood last. Unit: seconds.
    pub(crate) seconds: u64,
    /// How long row P5b lasts; 0 where it is left out. Unit: minutes.
    pub(crate) minutes: u64,
    /// The share of a processor that row L1 leaves. Unit: hundredths.
    pub(crate) quota: u64,
    /// Different names of row L7.
    pub(crate) names: usize,
}

/// What every row may use.
pub(crate) struct Stage {
    /// A fake API server with 10,000 Services and 50,000 endpoints, made when a row first wants it.
    large: OnceCell<FakeApi>,
    /// One with twice as many endpoints.
    wide: OnceCell<FakeApi>,
    /// How much is done.
    pub(crate) measures: Measures,
}

impl Stage {
    /// Nothing made yet.
    pub(crate) fn new(measures: Measures) -> Self {
        Self { large: OnceCell::new(), wide: OnceCell::new(), measures }
    }

    /// The large cluster, all well.
    pub(crate) fn large(&self) -> &FakeApi {
        self.large.get_or_init(|| spelled(USUAL))
    }

    /// The one with twice as many endpoints.
    pub(crate) fn wide(&self) -> &FakeApi {
        self.wide.get_or_init(|| spelled(WIDE))
    }

    /// How long an outage and a flood last.
    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_secs(self.measures.seconds)
    }
}

/// A fake API server with a cluster of this size, whose objects are spelled out before they are asked for.
fn spelled(scale: Scale) -> FakeApi {
    let api = FakeApi::start();
    api.apply_all(super::objects::all(scale));
    api.spell_out();
    api
}

/// A row of the battery.
pub(crate) struct Row {
    /// Its number in docs/reliability.md.
    pub(crate) id: &'static str,
    /// What happens.
    pub(crate) what: &'static str,
    /// What must hold.
    pub(crate) bar: &'static str,
    /// Makes it happen to a server.
    pub(crate) run: fn(&Stage, &Kind) -> anyhow::Result<Found>,
}

/// What was found: figures, those that miss their bar, or why it was not run.
#[derive(Default, Debug)]
pub(crate) struct Found {
    /// All figures, in the order of the bars.
    figures: Vec<String>,
    /// How many of them miss their bar.
    missed: usize,
    /// Why it was not run.
    not_run: Option<String>,
    /// Whether nobody asked for it, so that what an earlier run found stands.
    left: bool,
}

impl Found {
    /// A figure with a bar.
    pub(crate) fn judge(&mut self, kept: bool, figure: String) {
        self.figures.push(if kept { figure } else { format!("**{figure}**") });
        self.missed += usize::from(!kept);
    }

    /// A figure without one.
    pub(crate) fn note(&mut self, figure: String) {
        self.figures.push(figure);
    }

    /// Nothing, and why.
    pub(crate) fn not_run(why: impl std::fmt::Display) -> Self {
        Self { not_run: Some(why.to_string()), ..Self::default() }
    }

    /// Nothing, since this run is not to look at it.
    pub(crate) fn left(why: impl std::fmt::Display) -> Self {
        Self { left: true, ..Self::not_run(why) }
    }

    /// Whether what an earlier run found stands.
    pub(crate) fn is_left(&self) -> bool {
        self.left
    }

    /// Whether it was run and all bars were kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.not_run.is_none() && self.missed == 0
    }

    /// Whether it was run.
    pub(crate) fn is_run(&self) -> bool {
        self.not_run.is_none()
    }

    /// In one cell of a table.
    pub(crate) fn cell(&self) -> String {
        let text = match (&self.not_run, self.missed) {
            (Some(why), _) => format!("not run: {why}"),
            (None, 0) => format!("kept: {}", self.figures.join("; ")),
            (None, _) => format!("missed: {}", self.figures.join("; ")),
        };
        text.replace('|', "/").replace('\n', " ")
    }
}
