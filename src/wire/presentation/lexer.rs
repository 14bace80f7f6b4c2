//! Text in presentation form as entries: what stands on a line, or on several within parentheses.

/// A word of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    /// As written, escapes kept; without the quotes around it.
    pub(crate) text: Vec<u8>,
    /// Whether it stood in quotes.
    pub(crate) quoted: bool,
}

impl Token {
    /// For messages: printable, not too long.
    pub(crate) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.text);
        let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
        if text.chars().count() > 60 {
            shown.push('…');
        }
        shown
    }
}

/// An entry: a record or a directive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// The line on which it begins, from 1.
    pub(crate) line: u32,
    /// Whether it begins with a blank: then the owner is the last one.
    pub(crate) blank: bool,
    /// Its words; never empty.
    pub(crate) tokens: Vec<Token>,
}

/// Cuts a text into entries.
pub(crate) struct Lexer<'a> {
    /// The text.
    bytes: &'a [u8],
    /// How far it is read.
    at: usize,
    /// The line there.
    line: u32,
}

impl<'a> Lexer<'a> {
    /// From the start of `text`.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        // A byte order mark says nothing.
        let bytes = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self { bytes, at: 0, line: 1 }
    }

    /// The line that is being read.
    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    /// The next byte, if any.
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes a byte.
    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(byte)
    }

    /// The next entry that holds a word; `None` at the end. Errors: what is wrong on the line that is being read.
    pub(crate) fn entry(&mut self) -> Result<Option<Entry>, &'static str> {
        loop {
            if self.peek().is_none() {
                return Ok(None);
            }
            let mut entry = Entry {
                line: self.line,
                blank: matches!(self.peek(), Some(b' ' | b'\t')),
                tokens: Vec::new(),
            };
            let mut depth = 0_u32;
            loop {
                match self.peek() {
                    None if depth > 0 => return Err("a parenthesis is not closed"),
                    None => break,
                    Some(b'\n') => {
                        self.take();
                        if depth == 0 {
                            break;
                        }
                    }
                    Some(b' ' | b'\t' | b'\r') => {
                        self.take();
                    }
                    Some(b';') => {
                        while self.peek().is_some_and(|byte| byte != b'\n') {
                            self.take();
                        }
                    }
                    Some(b'(') => {
                        self.take();
                        depth += 1;
                    }
                    Some(b')') => {
                        self.take();
                        depth = depth.checked_sub(1).ok_or("a parenthesis is closed that was not opened")?;
                    }
                    Some(b'"') => {
                        self.take();
                        let text = self.quoted()?;
                        entry.tokens.push(Token { text, quoted: true });
                    }
                    Some(_) => {
                        let text = self.word()?;
                        entry.tokens.push(Token { text, quoted: false });
                    }
                }
            }
            if !entry.tokens.is_empty() {
                return Ok(Some(entry));
            }
        }
    }

    /// What stands in quotes, the first of which is taken.
    fn quoted(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut text = Vec::new();
        loop {
            match self.take() {
                None => return Err("a quote is not closed"),
                Some(b'"') => return Ok(text),
                Some(b'\\') => {
                    text.push(b'\\');
                    text.push(self.take().ok_or("a quote is not closed")?);
                }
                Some(byte) => text.push(byte),
            }
        }
    }

    /// A word that does not begin with a quote; quotes inside it belong to it.
    fn word(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut text = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                b'\\' => {
                    self.take();
                    text.push(b'\\');
                    match self.peek() {
                        None | Some(b'\n') => return Err("nothing stands behind a backslash"),
                        Some(next) => {
                            self.take();
                            text.push(next);
                        }
                    }
                }
                b'"' => {
                    self.take();
                    text.push(b'"');
                    text.extend(self.quoted()?);
                    text.push(b'"');
                }
                _ => {
                    self.take();
                    text.push(byte);
                }
            }
        }
        Ok(text)
    }
}
