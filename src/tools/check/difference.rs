//! What a change of a Corefile changes.

use std::collections::BTreeSet;

use serde::Serialize;

use super::report::{BlockReport, Report};
use crate::tools::text::{plural, wrap};

/// What comes and what goes.
#[derive(Serialize, Default)]
pub(super) struct Difference {
    /// The file before.
    old: String,
    /// The file after.
    new: String,
    /// Blocks that differ.
    blocks: Vec<BlockChange>,
    /// Addresses that are listened on from then on.
    opened: Vec<String>,
    /// Addresses that are not any more.
    closed: Vec<String>,
    /// Objects that are watched from then on, as `RESOURCE from SOURCE`.
    watched: Vec<String>,
    /// Objects that are not any more.
    unwatched: Vec<String>,
    /// HTTP endpoints that are opened.
    http_opened: Vec<String>,
    /// HTTP endpoints that are closed.
    http_closed: Vec<String>,
    /// Warnings and hints that are new, by code and text.
    warnings: Vec<String>,
}

/// What changes in a block.
#[derive(Serialize, Default)]
struct BlockChange {
    /// Its keys.
    keys: Vec<String>,
    /// `added`, `removed` or `changed`.
    change: &'static str,
    /// Lines that it gets.
    added: Vec<String>,
    /// Lines that it loses.
    removed: Vec<String>,
    /// Whether only the order of lines of one word changes.
    reordered: bool,
}

/// What is in `these` and not in `those`.
fn only(these: &[String], those: &[String]) -> Vec<String> {
    these.iter().filter(|text| !those.contains(text)).cloned().collect()
}

/// All lines of a block, those of the chain in its order.
fn lines(block: &BlockReport) -> Vec<String> {
    block.chain.iter().map(|step| step.line.clone()).chain(block.settings.iter().cloned()).collect()
}

/// Where a report listens.
fn listens(report: &Report) -> Vec<String> {
    let all: BTreeSet<&String> = report.blocks.iter().flat_map(|block| &block.listens).collect();
    all.into_iter().cloned().collect()
}

/// What a report watches.
fn watches(report: &Report) -> Vec<String> {
    let one = |watch: &super::report::WatchReport| {
        let labels = watch.labels.as_ref().map(|labels| format!(" ({labels})")).unwrap_or_default();
        let source = watch.source.clone();
        watch.resources.iter().map(move |kind| format!("{kind}{labels} from {source}")).collect::<Vec<_>>()
    };
    report.watches.iter().flat_map(one).collect()
}

/// What a report warns of, without places: lines move.
fn said(report: &Report) -> Vec<String> {
    report.warnings.iter().map(|warning| format!("{} [{}]", warning.text, warning.code)).collect()
}

impl Difference {
    /// Compares two reports.
    pub(super) fn of(old: &Report, new: &Report) -> Self {
        let mut blocks = Vec::new();
        for block in &new.blocks {
            match old.blocks.iter().find(|known| known.keys == block.keys) {
                None => blocks.push(BlockChange {
                    keys: block.keys.clone(),
                    change: "added",
                    added: lines(block),
                    ..BlockChange::default()
                }),
                Some(known) => {
                    let (before, after) = (lines(known), lines(block));
                    let (added, removed) = (only(&after, &before), only(&before, &after));
                    let reordered = before != after && added.is_empty() && removed.is_empty();
                    if before != after {
                        let keys = block.keys.clone();
                        blocks.push(BlockChange { keys, change: "changed", added, removed, reordered });
                    }
                }
            }
        }
        for block in &old.blocks {
            if !new.blocks.iter().any(|known| known.keys == block.keys) {
                blocks.push(BlockChange {
                    keys: block.keys.clone(),
                    change: "removed",
                    removed: lines(block),
                    ..BlockChange::default()
                });
            }
        }
        Self {
            old: old.file.clone(),
            new: new.file.clone(),
            blocks,
            opened: only(&listens(new), &listens(old)),
            closed: only(&listens(old), &listens(new)),
            watched: only(&watches(new), &watches(old)),
            unwatched: only(&watches(old), &watches(new)),
            http_opened: only(&new.http, &old.http),
            http_closed: only(&old.http, &new.http),
            warnings: only(&said(new), &said(old)),
        }
    }

    /// Whether nothing that is served changes.
    pub(super) fn is_empty(&self) -> bool {
        let lists = [
            &self.opened,
            &self.closed,
            &self.watched,
            &self.unwatched,
            &self.http_opened,
            &self.http_closed,
        ];
        self.blocks.is_empty() && lists.into_iter().all(Vec::is_empty)
    }
}

/// A difference as text for people.
pub(super) fn show(difference: &Difference) -> String {
    let Difference { old, new, .. } = difference;
    if difference.is_empty() {
        return format!("{old} and {new}: nothing that is served differs\n");
    }
    let verb = if difference.blocks.len() == 1 { "differs" } else { "differ" };
    let mut out = format!("{old} → {new}: {} {verb}\n", plural(difference.blocks.len(), "block"));
    for block in &difference.blocks {
        out.push_str(&format!("\n{}   ({})\n", block.keys.join(" "), block.change));
        block.removed.iter().for_each(|line| wrap(&mut out, "  - ", line));
        block.added.iter().for_each(|line| wrap(&mut out, "  + ", line));
        if block.reordered {
            wrap(&mut out, "  ~ ", "the same lines in another order, which lines of one word keep");
        }
    }
    let lists = [
        ("listens     ", "+ ", &difference.opened),
        ("listens     ", "- ", &difference.closed),
        ("watches     ", "+ ", &difference.watched),
        ("watches     ", "- ", &difference.unwatched),
        ("http        ", "+ ", &difference.http_opened),
        ("http        ", "- ", &difference.http_closed),
    ];
    let mut first = true;
    for (title, sign, list) in lists {
        for text in list {
            if std::mem::take(&mut first) {
                out.push('\n');
            }
            wrap(&mut out, &format!("{title}{sign}"), text);
        }
    }
    for text in &difference.warnings {
        out.push('\n');
        wrap(&mut out, "new: ", text);
    }
    out
}
