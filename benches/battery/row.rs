//! A row: what it is about, its bars, and what was found.

use super::api::FakeApi;
use super::rig::Kind;

/// What every row may use.
pub(crate) struct Stage {
    /// A fake API server with 10,000 Services, made when a row first wants it.
    large: std::cell::OnceCell<FakeApi>,
    /// How long an outage and a flood last. Unit: seconds.
    pub(crate) seconds: u64,
    /// The share of a processor of the rows about overload. Unit: hundredths.
    pub(crate) quota: u64,
}

impl Stage {
    /// Nothing made yet.
    pub(crate) fn new(seconds: u64, quota: u64) -> Self {
        Self { large: std::cell::OnceCell::new(), seconds, quota }
    }

    /// The large cluster, all well.
    pub(crate) fn large(&self) -> &FakeApi {
        self.large.get_or_init(|| {
            let api = FakeApi::start();
            api.apply_all(super::objects::all(super::objects::USUAL));
            api.spell_out();
            api
        })
    }
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
