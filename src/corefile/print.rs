//! A `Spec` back to text: one canonical form for what was read.

use super::spec::{Directive, Spec, Token};

/// Writes the configuration as one Corefile: imports and variables already in place, comments gone, four spaces of
/// indentation, quotes only where they are needed.
///
/// Parsing the result gives the same blocks, and printing those the same text. One thing cannot be written in a
/// Corefile: in quotes, a single backslash before a quote or at the end. Only a variable's value can hold it, and it is
/// written doubled.
#[must_use]
pub fn print(spec: &Spec) -> String {
    let mut out = String::new();
    for block in &spec.blocks {
        if !out.is_empty() {
            out.push('\n');
        }
        for key in &block.keys {
            let needs = key.text.starts_with('(') || key.text == "import";
            write_text(&key.text, needs, &mut out);
            out.push(' ');
        }
        out.push_str("{\n");
        for directive in &block.directives {
            write_directive(directive, 1, &mut out);
        }
        out.push_str("}\n");
    }
    out
}

/// A directive in one line, for people: `forward . 10.0.0.10 { force_tcp; max_concurrent 1000 }`.
#[must_use]
pub fn print_line(directive: &Directive) -> String {
    let mut out = String::new();
    write_text(&directive.word.text, false, &mut out);
    for arg in &directive.args {
        out.push(' ');
        write_text(&arg.text, false, &mut out);
    }
    if let Some(lines) = &directive.block {
        let lines: Vec<String> = lines.iter().map(print_line).collect();
        out.push_str(&if lines.is_empty() {
            " { }".to_owned()
        } else {
            format!(" {{ {} }}", lines.join("; "))
        });
    }
    out
}

/// Writes one line, and its block below it.
fn write_directive(directive: &Directive, depth: usize, out: &mut String) {
    let indent = "    ".repeat(depth);
    out.push_str(&indent);
    let Token { text, .. } = &directive.word;
    write_text(text, text == "import" || text.ends_with('{'), out);
    for arg in &directive.args {
        out.push(' ');
        write_text(&arg.text, false, out);
    }
    if let Some(lines) = &directive.block {
        out.push_str(" {\n");
        for line in lines {
            write_directive(line, depth.saturating_add(1), out);
        }
        out.push_str(&indent);
        out.push('}');
    }
    out.push('\n');
}

/// Writes one token, in quotes if it could be taken for something else, or if `quotes` says so.
fn write_text(text: &str, quotes: bool, out: &mut String) {
    let plain = !text.is_empty()
        && !text.starts_with(['"', '\u{feff}'])
        && !matches!(text, "{" | "}")
        && !text.contains(|c: char| c == '#' || c.is_whitespace());
    if plain && !quotes {
        out.push_str(text);
        return;
    }
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('"', _) => out.push_str("\\\""),
            // A backslash and what follows it are read as a pair, so they are written as one.
            ('\\', Some(&next)) if next != '"' => {
                out.push('\\');
                out.push(next);
                chars.next();
            }
            ('\\', _) => out.push_str("\\\\"),
            _ => out.push(c),
        }
    }
    out.push('"');
}
