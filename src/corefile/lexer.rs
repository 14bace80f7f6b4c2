//! Text to located tokens: white space, comments, quotes and braces.

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use super::error::{Error, Problem};
use super::location::Location;
use super::spec::Token;

/// The longest file that is read. Unit: bytes.
pub(super) const MAX_FILE: usize = 1 << 20;

/// The tokens a whole configuration may have.
pub(super) const MAX_TOKENS: usize = 100_000;

/// A token as the text has it, variables not yet replaced, with its role in the structure.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    /// The token.
    pub(super) token: Token,
    /// Its role.
    pub(super) mark: Mark,
    /// Whether it is the first on its line.
    pub(super) first: bool,
}

/// What a token may be to the structure; only unquoted text as written counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// `{`
    Open,
    /// `}`
    Close,
    /// `import`, which is one only where a line begins.
    Import,
    /// Anything else.
    Word,
}

/// Cuts `text` into tokens.
///
/// A comment starts at any unquoted `#`. A quote counts at the start of a token only and ends it; `\"` inside is a
/// quote, every other backslash stays. A carriage return outside quotes and a byte order mark at the start are nothing.
///
/// Errors: `FileTooLong`, `TooManyTokens`, `UnclosedQuote`.
/// Source: coredns/caddy `caddyfile/lexer.go`. There, white space in a comment glued to a word ends the comment, and
/// a quote may stay open; both are faults that no working file can lean on.
pub(super) fn lex(file: &Arc<str>, text: &str) -> Result<Vec<Lexeme>, Error> {
    if text.len() > MAX_FILE {
        let at = Location::start_of(Arc::clone(file));
        return Err(Error::new(at, Problem::FileTooLong { limit: MAX_FILE }));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lexer = Lexer {
        file: Arc::clone(file),
        chars: text.chars().peekable(),
        rest: text,
        line: 1,
        column: 1,
        line_text: None,
        first: true,
    };
    let mut lexemes = Vec::new();
    while let Some(lexeme) = lexer.next_lexeme()? {
        if lexemes.len() >= MAX_TOKENS {
            return Err(Error::new(lexeme.token.at, Problem::TooManyTokens { limit: MAX_TOKENS }));
        }
        lexemes.push(lexeme);
    }
    Ok(lexemes)
}

/// The reader's place in the text.
struct Lexer<'a> {
    /// Name of the file.
    file: Arc<str>,
    /// What is still to be read.
    chars: Peekable<Chars<'a>>,
    /// The text from the start of the current line.
    rest: &'a str,
    /// Current line, from 1.
    line: u32,
    /// Column of the next character, from 1.
    column: u32,
    /// The current line's text, once a token on it was found.
    line_text: Option<Arc<str>>,
    /// Whether no token of this line was found yet.
    first: bool,
}

impl Lexer<'_> {
    /// Takes the next character and moves the place.
    fn bump(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
            self.line_text = None;
        } else {
            self.column = self.column.saturating_add(1);
        }
        Some(c)
    }

    /// The place that starts at the next character, still without a width.
    fn here(&mut self) -> Location {
        let rest = self.rest;
        let line_text = self.line_text.get_or_insert_with(|| Arc::from(rest.lines().next().unwrap_or("")));
        Location::new(Arc::clone(&self.file), self.line, self.column, 1, Arc::clone(line_text))
    }

    /// The next token, or `None` at the end of the text.
    fn next_lexeme(&mut self) -> Result<Option<Lexeme>, Error> {
        while let Some(&c) = self.chars.peek() {
            if c == '#' {
                self.skip_comment();
            } else if c.is_whitespace() {
                self.first |= c == '\n';
                self.bump();
            } else {
                let first = std::mem::replace(&mut self.first, false);
                let token = if c == '"' { self.quoted()? } else { self.plain() };
                let mark = match (token.quoted, token.text.as_str()) {
                    (false, "{") => Mark::Open,
                    (false, "}") => Mark::Close,
                    (false, "import") => Mark::Import,
                    _ => Mark::Word,
                };
                return Ok(Some(Lexeme { token, mark, first }));
            }
        }
        Ok(None)
    }

    /// Skips up to the end of the line.
    fn skip_comment(&mut self) {
        while self.chars.peek().is_some_and(|&c| c != '\n') {
            self.bump();
        }
    }

    /// A token without quotes: up to white space or a comment.
    fn plain(&mut self) -> Token {
        let start = self.here();
        let mut text = String::new();
        while let Some(&c) = self.chars.peek() {
            if c == '#' || (c.is_whitespace() && c != '\r') {
                break;
            }
            self.bump();
            if c != '\r' {
                text.push(c);
            }
        }
        let width = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        Token { text, quoted: false, at: start.part(0, width) }
    }

    /// A token in quotes, which may span lines.
    fn quoted(&mut self) -> Result<Token, Error> {
        let start = self.here();
        let mut text = String::new();
        let mut width = 1_u32;
        let mut escaped = false;
        self.bump();
        while let Some(c) = self.bump() {
            if self.line == start.line() {
                width = width.saturating_add(1);
            }
            match (escaped, c) {
                (false, '\\') => escaped = true,
                (false, '"') => return Ok(Token { text, quoted: true, at: start.part(0, width) }),
                (true, '"') | (false, _) => {
                    escaped = false;
                    text.push(c);
                }
                (true, _) => {
                    escaped = false;
                    text.push('\\');
                    text.push(c);
                }
            }
        }
        Err(Error::new(start.part(0, width), Problem::UnclosedQuote))
    }
}
