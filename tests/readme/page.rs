//! A page of Markdown: its fenced blocks, links and anchors.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use regex::Regex;

/// A fenced block.
pub(crate) struct Fence {
    /// The line that opens it, counted from 1.
    pub(crate) line: usize,
    /// The first word behind the backticks.
    pub(crate) kind: String,
    /// Where its text lies in the page, the lines of the fence left out.
    pub(crate) text: Range<usize>,
}

/// The fenced blocks of a page, those within lists included.
pub(crate) fn fences(page: &str) -> Vec<Fence> {
    let mut found = Vec::new();
    let mut open: Option<Fence> = None;
    let mut at = 0;
    for (number, line) in page.split_inclusive('\n').enumerate() {
        let next = at + line.len();
        if let Some(info) = line.trim_start().strip_prefix("```") {
            match open.take() {
                Some(mut fence) => {
                    fence.text.end = at;
                    found.push(fence);
                }
                None => {
                    let kind = info.split_whitespace().next().unwrap_or_default().to_owned();
                    open = Some(Fence { line: number + 1, kind, text: next..next });
                }
            }
        }
        at = next;
    }
    assert!(
        open.is_none(),
        "a fence that is opened on line {} is not closed",
        open.map_or(0, |fence| fence.line)
    );
    found
}

/// The page with spaces for all that is code, so that what is left is read as prose; places stay the same.
fn prose(page: &str) -> String {
    let mut bytes = page.as_bytes().to_vec();
    let mut blank = |range: Range<usize>| {
        for byte in &mut bytes[range] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    let fences = fences(page);
    fences.iter().for_each(|fence| blank(fence.text.clone()));
    let code = Regex::new("`[^`\n]+`").unwrap();
    code.find_iter(page)
        .filter(|found| !fences.iter().any(|fence| fence.text.contains(&found.start())))
        .for_each(|found| blank(found.range()));
    String::from_utf8(bytes).unwrap()
}

/// The targets of a page's links, each with its line.
pub(crate) fn links(page: &str) -> Vec<(usize, String)> {
    let prose = prose(page);
    let pattern = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let line = |at: usize| prose[..at].matches('\n').count() + 1;
    pattern
        .captures_iter(&prose)
        .map(|found| (line(found.get(0).unwrap().start()), found.get(1).unwrap().as_str().to_owned()))
        .collect()
}

/// What can stand behind `#` in a link to the page: its headings as GitHub names them, and what it names itself.
pub(crate) fn anchors(page: &str) -> BTreeSet<String> {
    let fences = fences(page);
    let own = Regex::new(r#"<a id="([^"]+)">"#).unwrap();
    let mut found: BTreeSet<String> =
        own.captures_iter(page).map(|captures| captures[1].to_owned()).collect();
    let mut often: BTreeMap<String, usize> = BTreeMap::new();
    let mut at = 0;
    for line in page.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let text = line.trim_start_matches('#');
        let depth = line.len() - text.len();
        let inside = fences.iter().any(|fence| fence.text.contains(&start));
        if inside || !(1..=6).contains(&depth) || !text.starts_with(' ') {
            continue;
        }
        let slug: String = text
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let count = often.entry(slug.clone()).or_default();
        found.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    found
}

/// A command of a transcript, and where what it said lies in the page.
pub(crate) struct Said {
    /// The command, lines that were broken by a backslash joined.
    pub(crate) command: String,
    /// Where its output lies.
    pub(crate) output: Range<usize>,
}

/// The commands of a transcript: lines behind `$ `, each with its output.
pub(crate) fn transcript(page: &str, fence: &Fence) -> Vec<Said> {
    let mut found: Vec<Said> = Vec::new();
    let mut at = fence.text.start;
    let mut continued = false;
    for line in page[fence.text.clone()].split_inclusive('\n') {
        at += line.len();
        let bare = line.trim_end_matches('\n');
        match bare.strip_prefix("$ ") {
            Some(command) => found.push(Said { command: command.to_owned(), output: at..at }),
            None => {
                let said = found.last_mut();
                let said = said.unwrap_or_else(|| panic!("line {}: output without a command", fence.line));
                if continued {
                    said.command.push_str(bare.trim_start());
                    said.output = at..at;
                } else {
                    said.output.end = at;
                }
            }
        }
        let Some(said) = found.last_mut() else { continue };
        continued = said.output.start == at && said.command.ends_with('\\');
        if continued {
            said.command.pop();
        }
    }
    found
}

/// The commands of a block without output: broken lines joined, remarks left out.
pub(crate) fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut begun = String::new();
    for line in text.lines() {
        let code = line.split(" #").next().unwrap_or_default().trim();
        if code.starts_with('#') || code.is_empty() && begun.is_empty() {
            continue;
        }
        begun.push_str(code);
        match begun.strip_suffix('\\').map(str::to_owned) {
            Some(half) => begun = half,
            None => found.push(std::mem::take(&mut begun)),
        }
    }
    assert!(begun.is_empty(), "`{begun}` is broken off");
    found
}
