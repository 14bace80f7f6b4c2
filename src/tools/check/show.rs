//! A report as text for people.

use super::super::text::{plural, wrap};
use super::report::{BlockReport, Report};

/// Characters of a word's column.
const COLUMN: usize = 12;

/// A report.
pub(super) fn report(report: &Report) -> String {
    let mut out = String::new();
    if let Some(error) = &report.error {
        out.push_str(&format!("{}: would not be served\n\n{}\n", report.file, error.rendered));
        return out;
    }
    let warns = report.warnings.iter().filter(|warning| warning.warns()).count();
    let hints = report.warnings.len() - warns;
    let mut said = vec![plural(report.blocks.len(), "block")];
    if warns > 0 {
        said.push(plural(warns, "warning"));
    }
    if hints > 0 {
        said.push(plural(hints, "hint"));
    }
    out.push_str(&format!("{}: good ({})\n", report.file, said.join(", ")));
    for block in &report.blocks {
        self::block(&mut out, block);
    }
    for watch in &report.watches {
        out.push('\n');
        let labels = watch.labels.as_ref().map(|labels| format!(" with labels {labels}")).unwrap_or_default();
        wrap(
            &mut out,
            "watches     ",
            &format!("{}{labels}, from {}", watch.resources.join(", "), watch.source),
        );
    }
    for (place, right) in report.rights.iter().enumerate() {
        let group = right.api_groups.first().copied().unwrap_or_default();
        let first = if place == 0 { "needs       " } else { "            " };
        let group = if group.is_empty() { "core" } else { group };
        wrap(
            &mut out,
            first,
            &format!("{} on {} ({group})", right.verbs.join(", "), right.resources.join(", ")),
        );
    }
    for write in &report.writes {
        wrap(&mut out, "writes      ", &format!("{}: {}", write.file, write.what));
    }
    for (place, url) in report.http.iter().enumerate() {
        wrap(&mut out, if place == 0 { "http        " } else { "            " }, url);
    }
    if let [_, imports @ ..] = report.files.as_slice()
        && !imports.is_empty()
    {
        wrap(&mut out, "imports     ", &imports.join(" "));
    }
    for warning in &report.warnings {
        out.push('\n');
        let kind = if warning.warns() { "warning" } else { "hint" };
        let at = warning.at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
        wrap(&mut out, &format!("{kind}: "), &format!("{at}{} [{}]", warning.text, warning.code));
        if !warning.advice.is_empty() {
            wrap(&mut out, "  = ", &warning.advice);
        }
    }
    out
}

/// A block.
fn block(out: &mut String, block: &BlockReport) {
    out.push_str(&format!("\n{}   ({})\n", block.keys.join(" "), block.at));
    wrap(out, "  listens   ", &block.listens.join(", "));
    for (place, step) in block.chain.iter().enumerate() {
        let first = format!("  {:<10}", if place == 0 { "chain" } else { "" });
        let rest = step.line.strip_prefix(step.word.as_str()).unwrap_or_default().trim();
        wrap(out, &format!("{first}{:<COLUMN$} ", step.word), rest);
    }
    if block.chain.is_empty() {
        wrap(out, "  chain     ", "nothing answers here: every query is REFUSED");
    }
    for ask in &block.asks {
        wrap(out, "  asks      ", &format!("for {}: {}", ask.zones.join(" "), ask.upstreams.join(", ")));
    }
    for (place, line) in block.settings.iter().enumerate() {
        let first = format!("  {:<10}", if place == 0 { "settings" } else { "" });
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        wrap(out, &format!("{first}{word:<COLUMN$} "), rest);
    }
}
