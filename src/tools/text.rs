//! Text for people: columns, wrapped lines.

/// In which form a command answers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Characters of a line of text.
const WIDTH: usize = 110;

/// Appends `text` behind `first`, wrapped at blanks, of which as many stay as there are; further lines indented by as many blanks as `first` has characters.
pub(super) fn wrap(out: &mut String, first: &str, text: &str) {
    let indent = first.chars().count();
    let room = WIDTH.saturating_sub(indent).max(20);
    let mut line = String::new();
    let mut lead = first.to_owned();
    let mut begun = false;
    for word in text.split(char::is_whitespace) {
        if begun
            && !word.is_empty()
            && !line.is_empty()
            && line.chars().count() + 1 + word.chars().count() > room
        {
            out.push_str(&format!("{lead}{line}\n"));
            lead = " ".repeat(indent);
            line.clear();
            begun = false;
        }
        if std::mem::replace(&mut begun, true) {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(format!("{lead}{line}").trim_end());
    out.push('\n');
}

/// `1 block`, `2 blocks`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A value as indented JSON with a new line at its end.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    // Plain structs of text and numbers: there is nothing in them that JSON can't say.
    serde_json::to_string_pretty(value)
        .unwrap_or_else(|error| format!("{{\"error\": {:?}}}", error.to_string()))
        + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_wrapped_below_its_beginning() {
        let mut out = String::new();
        wrap(&mut out, "  hint: ", &"word ".repeat(40));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2, "{out}");
        assert!(lines[0].starts_with("  hint: word") && lines[1].starts_with("        word"), "{out}");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{out}");
    }
}
