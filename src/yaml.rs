//! YAML: the documents of a text, the value of each, and how much one of them may cost.
//!
//! All YAML is read here, and as a JSON value: a reader for each type of its own is a hundred KiB of the binary
//! (docs/decisions/0006-size.md).

use serde_json::Value;

/// Splits a YAML text into its documents, each with the number of its first line, counted from 1.
///
/// A line `---` always starts a document and a line `...` always ends one, also within a quoted text or a block
/// (YAML 1.2 §9.1.4), so that no parser is needed and a mistake in one document stays in it. Documents of comments
/// only are left out.
pub(crate) fn split(text: &str) -> Vec<(u64, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 1, 0);
    let mut content = Content::Blank;
    let mut push = |from: usize, to: usize, line: u64, content: Content| {
        if content == Content::Some {
            documents.extend(text.get(from..to).map(|document| (line, document)));
        }
    };
    for (line, number) in text.split_inclusive('\n').zip(1_u64..) {
        let end = offset + line.len();
        if is_marker(line, "---") {
            // Directives (`%YAML 1.2`) belong to the document that this marker starts.
            if content != Content::Directives {
                push(start, offset, start_line, content);
                (start, start_line) = (offset, number);
            }
            content = Content::of(line.get(3..).unwrap_or_default());
        } else if is_marker(line, "...") {
            push(start, offset, start_line, content);
            (start, start_line, content) = (end, number + 1, Content::Blank);
        } else if content != Content::Some {
            let here = Content::of(line);
            content = if here == Content::Blank { content } else { here };
        }
        offset = end;
    }
    push(start, text.len(), start_line, content);
    documents
}

/// How many lines a document has before its content: its marker, comments and empty lines.
pub(crate) fn lead(document: &str) -> u64 {
    let bare = |line: &&str| {
        let rest = if is_marker(line, "---") { line.get(3..).unwrap_or_default() } else { line };
        Content::of(rest) != Content::Some
    };
    document.lines().take_while(bare).fold(0, |lines, _| lines + 1)
}

/// What a piece of text holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    /// Spaces and comments.
    Blank,
    /// Lines that start with `%`.
    Directives,
    /// Anything else.
    Some,
}

impl Content {
    /// What a line holds.
    fn of(line: &str) -> Self {
        match line.trim().as_bytes().first() {
            None | Some(b'#') => Self::Blank,
            Some(b'%') if line.starts_with('%') => Self::Directives,
            Some(_) => Self::Some,
        }
    }
}

/// True where `line` is the marker, alone or with something behind a space.
fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// The value of a document. Errors: what the parser says; lines of the document are not in it.
pub(crate) fn value(document: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(document, options())
}

/// The documents of a text, and items of its lists, that are objects of this kind; those that can't be read are left out.
pub(crate) fn of_kind(text: &str, kind: &str) -> impl Iterator<Item = Value> {
    let values = split(text).into_iter().filter_map(|(_, document)| value(document).ok());
    values.flat_map(items).filter(move |value| value.get("kind").and_then(Value::as_str) == Some(kind))
}

/// The items of a list as `kubectl get -o yaml` prints it; any other object is its own only item.
fn items(mut value: Value) -> Vec<Value> {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match value.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) if is_list => std::mem::take(items),
        _ => vec![value],
    }
}

/// How documents are parsed: as large as files may be, but aliases (`*name`) may not multiply them.
///
/// Manifests have few anchors or none; a document that repeats them by the thousand is meant to exhaust us.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 64_000_000,
            max_nodes: 32_000_000,
            max_depth: 64,
            max_anchors: 256,
            max_aliases: 1_000,
            max_recorded_anchor_events: 10_000,
            max_recorded_anchor_bytes: 256 * 1024,
            max_merge_keys: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
        },
        // A label `no` or a name `on` is the text it looks like.
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

/// What the parser said, in one line and without the place, which the problem carries itself.
pub(crate) fn message(error: &serde_saphyr::Error) -> String {
    let full = error.to_string();
    let line = full.lines().find(|line| !line.trim().is_empty()).unwrap_or("it does not parse").trim();
    // Places, and advice that is meant for programmers.
    let ends = [" at line ", " (defined at ", ", set DuplicateKeyPolicy"];
    let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    let said = line.get(..end).unwrap_or(line);
    match said.strip_prefix("budget breached: ") {
        Some(limit) => {
            let limit = limit.split(' ').next().unwrap_or(limit);
            format!("YAML: it costs more to read than a document may ({limit})")
        }
        None => format!("YAML: {said}"),
    }
}
