//! Where a token stands: file, line, column, and the text of its line to show in an error.

use std::fmt;
use std::sync::Arc;

/// The place of a token in a Corefile or a file imported by one; displays as `Corefile:7:5`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// Name of the file, as it was given or found.
    file: Arc<str>,
    /// Line, from 1.
    line: u32,
    /// Column of the token's first character, from 1. Unit: characters.
    column: u32,
    /// Characters of the token on this line, quotes included; at least 1.
    width: u32,
    /// The whole line, without its end.
    line_text: Arc<str>,
    /// The `import` that brought the token here, where one did.
    imported_at: Option<Arc<Location>>,
}

impl Location {
    /// The place `column` of `line`, `width` characters wide.
    pub(super) fn new(file: Arc<str>, line: u32, column: u32, width: u32, line_text: Arc<str>) -> Self {
        Self { file, line, column, width: width.max(1), line_text, imported_at: None }
    }

    /// The start of a file, for what is wrong with the file as a whole.
    pub(super) fn start_of(file: Arc<str>) -> Self {
        Self::new(file, 1, 1, 1, Arc::from(""))
    }

    /// The same place, brought in by the `import` at `at`.
    pub(super) fn imported(mut self, at: Option<Arc<Location>>) -> Self {
        self.imported_at = at;
        self
    }

    /// A part of this place: `width` characters, `skip` characters further right.
    pub(super) fn part(&self, skip: u32, width: u32) -> Self {
        Self { column: self.column.saturating_add(skip), width: width.max(1), ..self.clone() }
    }

    /// Name of the file, as it was given or found.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Column of the first character, from 1. Unit: characters.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.column
    }

    /// Characters of the token on its line, at least 1.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The whole line, without its end.
    #[must_use]
    pub fn line_text(&self) -> &str {
        &self.line_text
    }

    /// The `import` that brought the token here, where one did.
    #[must_use]
    pub fn imported_at(&self) -> Option<&Location> {
        self.imported_at.as_deref()
    }

    /// Writes the line with a caret under the token, and the imports that led here.
    ///
    /// A line longer than 120 characters is cut around the token. Tabs are kept below the line too, so that the
    /// caret stands right whatever their width.
    pub(super) fn render(&self, out: &mut String) {
        let column = usize::try_from(self.column).unwrap_or(usize::MAX);
        let before = column.saturating_sub(1);
        let skip = if before > WINDOW { before.saturating_sub(WINDOW / 2) } else { 0 };
        // A control character would garble the terminal.
        let visible = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
        let shown: String = self.line_text.chars().skip(skip).take(2 * WINDOW).map(visible).collect();
        if !shown.trim().is_empty() {
            let number = self.line.to_string();
            let gutter = " ".repeat(number.len());
            let pad: String =
                shown.chars().take(before - skip).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let room = shown.chars().count().saturating_sub(before - skip).max(1);
            let carets = "^".repeat(usize::try_from(self.width).unwrap_or(1).clamp(1, room));
            let cut = if skip > 0 { "…" } else { "" };
            let cut_pad = if skip > 0 { " " } else { "" };
            let line = format!("\n{gutter} |\n{number} | {cut}{}", shown.trim_end());
            out.push_str(&line);
            out.push_str(&format!("\n{gutter} | {cut_pad}{pad}{carets}"));
        }
        let imports: Vec<&Self> = std::iter::successors(self.imported_at(), |at| at.imported_at()).collect();
        for at in imports.iter().take(IMPORTS) {
            out.push_str(&format!("\n  = imported at {at}"));
        }
        if imports.len() > IMPORTS {
            out.push_str(&format!("\n  = and so on, {} imports in all", imports.len()));
        }
    }
}

/// Imports on the way to a token that are shown.
const IMPORTS: usize = 4;

/// Characters of a long line shown on either side of a token.
const WINDOW: usize = 60;

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
