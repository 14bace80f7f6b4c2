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
    /// Why the file before would not be served, if it would not: then all of the other is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
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
    /// `added`, `removed`, `changed`, or `moved`: another block of the same keys is asked before it now.
    change: &'static str,
    /// Lines that it gets.
    added: Vec<String>,
    /// Lines that it loses.
    removed: Vec<String>,
    /// Whether only the order of lines of one word changes.
    reordered: bool,
}

/// What is in `these` and not in `those`, as often as it is there more.
fn only(these: &[String], those: &[String]) -> Vec<String> {
    let mut left: Vec<&String> = those.iter().collect();
    let mut is_more = |text: &&String| match left.iter().position(|known| known == text) {
        Some(at) => {
            left.swap_remove(at);
            false
        }
        None => true,
    };
    these.iter().filter(|text| is_more(text)).cloned().collect()
}

/// All lines of a block, those of the chain in its order.
fn lines(block: &BlockReport) -> Vec<String> {
    block.chain.iter().map(|step| step.line.clone()).chain(block.settings.iter().cloned()).collect()
}

/// What tells a block from others of the same keys: where it is bound, and which queries it sees.
fn marks(block: &BlockReport) -> Vec<String> {
    let is_mark = |line: &String| ["bind", "view"].contains(&line.split(' ').next().unwrap_or_default());
    lines(block).into_iter().filter(is_mark).collect()
}

/// A block of each side, by its place there.
type Pair = (usize, usize);

/// Which block became which: of those with the same keys first who are equal, then who have the same marks, then in the order of the files.
fn pairs(old: &[BlockReport], new: &[BlockReport]) -> Vec<Pair> {
    let equal: [fn(&BlockReport, &BlockReport) -> bool; 3] =
        [|one, other| lines(one) == lines(other), |one, other| marks(one) == marks(other), |_, _| true];
    let mut pairs: Vec<Pair> = Vec::new();
    for is_same in equal {
        for (at, block) in new.iter().enumerate() {
            if pairs.iter().any(|(_, taken)| *taken == at) {
                continue;
            }
            let free = |place: usize| !pairs.iter().any(|(taken, _)| *taken == place);
            let fits = |known: &BlockReport| known.serves == block.serves && is_same(known, block);
            let found = old.iter().enumerate().find(|(place, known)| free(*place) && fits(known));
            pairs.extend(found.map(|(place, _)| (place, at)));
        }
    }
    pairs.sort_unstable_by_key(|(_, at)| *at);
    pairs
}

/// Whether a block stands behind one of the same keys that stood behind it.
fn is_overtaken(pairs: &[Pair], (was, is): Pair, new: &[BlockReport]) -> bool {
    let serves = |at: usize| new.get(at).map(|block| &block.serves);
    pairs.iter().any(|(before, now)| *before > was && *now < is && serves(*now) == serves(is))
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
        let pairs = pairs(&old.blocks, &new.blocks);
        for (at, block) in new.blocks.iter().enumerate() {
            let keys = block.keys.clone();
            let pair = pairs.iter().find(|(_, is)| *is == at);
            let Some(known) = pair.and_then(|(was, _)| old.blocks.get(*was)) else {
                let added = lines(block);
                blocks.push(BlockChange { keys, change: "added", added, ..BlockChange::default() });
                continue;
            };
            let (before, after) = (lines(known), lines(block));
            let (added, removed) = (only(&after, &before), only(&before, &after));
            let reordered = added.is_empty() && removed.is_empty();
            if before != after {
                blocks.push(BlockChange { keys, change: "changed", added, removed, reordered });
            } else if pair.is_some_and(|pair| is_overtaken(&pairs, *pair, &new.blocks)) {
                blocks.push(BlockChange { keys, change: "moved", ..BlockChange::default() });
            }
        }
        for (place, block) in old.blocks.iter().enumerate() {
            if !pairs.iter().any(|(was, _)| *was == place) {
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
            refused: old.error.as_ref().map(|error| error.message.clone()),
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
        self.refused.is_none() && self.blocks.is_empty() && lists.into_iter().all(Vec::is_empty)
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
    if let Some(why) = &difference.refused {
        wrap(&mut out, "old: ", &format!("{old} would not be served, so all of {new} is new: {why}"));
    }
    for block in &difference.blocks {
        out.push_str(&format!("\n{}   ({})\n", block.keys.join(" "), block.change));
        block.removed.iter().for_each(|line| wrap(&mut out, "  - ", line));
        block.added.iter().for_each(|line| wrap(&mut out, "  + ", line));
        if block.change == "moved" {
            wrap(
                &mut out,
                "  ~ ",
                "another block with the same keys stands before it now, and the first whose view fits is asked",
            );
        }
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
