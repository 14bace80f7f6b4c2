//! What templates count; outlives reloads.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Counted {
    /// A question that a template answers.
    Match,
    /// A template that did not run to its end.
    TemplateFailure,
    /// A text that is no record.
    RecordFailure,
}

impl Counted {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Match, Self::TemplateFailure, Self::RecordFailure];

    /// The metric and what it tells.
    #[must_use]
    pub fn metric(self) -> (&'static str, &'static str) {
        match self {
            Self::Match => ("coredns_template_matches_total", "Questions that a template answers."),
            Self::TemplateFailure => {
                ("coredns_template_template_failures_total", "Templates that did not run to their end.")
            }
            Self::RecordFailure => {
                ("coredns_template_rr_failures_total", "Texts of templates that are no records.")
            }
        }
    }
}

/// Labels of `coredns_template_*`, in the order in which they are shown.
const LABELS: [&str; 7] = ["server", "zone", "view", "class", "type", "section", "template"];

/// Counts of templates by their labels.
#[derive(Default, Debug)]
pub struct TemplateCounts(Mutex<BTreeMap<(Counted, Vec<String>), u64>>);

impl TemplateCounts {
    /// Counts one more, under the values of the labels in their order.
    pub(super) fn count(&self, what: Counted, labels: &[&str]) {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        *self.0.lock().entry((what, labels)).or_default() += 1;
    }

    /// Calls `visit` with the labels and the number of each count of a kind.
    pub fn each(&self, what: Counted, mut visit: impl FnMut(&[(&str, &str)], u64)) {
        for ((kind, values), count) in self.0.lock().iter() {
            if *kind == what {
                let labels: Vec<(&str, &str)> =
                    LABELS.into_iter().zip(values.iter().map(String::as_str)).collect();
                visit(&labels, *count);
            }
        }
    }
}
