//! Label selectors as Kubernetes writes them: `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
//!
//! The grammar is that of the API server's `labelSelector` parameter, so that one text selects the same objects
//! in a folder of manifests and in a cluster.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use super::SourceError;

#[cfg(test)]
mod tests;

/// A parsed label selector; an object is selected when every requirement holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    /// The text it was parsed from, as the API server wants it.
    text: Box<str>,
    /// The requirements, all of which must hold; none selects everything.
    requirements: Vec<Requirement>,
}

/// One comma-separated part of a selector.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Requirement {
    /// The label's key.
    key: Box<str>,
    /// What is asked of it.
    test: Test,
}

/// What a requirement asks of a label.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    /// `key`: there is such a label.
    Exists,
    /// `!key`: there is none.
    Missing,
    /// `key=v`, `key==v`, `key in (v, w)`: its value is one of these.
    OneOf(Vec<Box<str>>),
    /// `key!=v`, `key notin (v, w)`: it is missing or its value is none of these.
    NoneOf(Vec<Box<str>>),
    /// `key>n`: its value is an integer above this.
    Above(i64),
    /// `key<n`: its value is an integer below this.
    Below(i64),
}

impl Selector {
    /// Parses `text`; an empty one selects everything.
    ///
    /// Errors: [`SourceError::Selector`] with the place and what was expected there.
    /// Source: Kubernetes `labels.Parse`.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let mut parser = Parser { text, chars: text.char_indices().peekable() };
        Ok(Self { requirements: parser.requirements()?, text: text.into() })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True where an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &[(Box<str>, Box<str>)]) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.iter().find(|(key, _)| *key == requirement.key).map(|(_, value)| value);
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match &requirement.test {
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
                Test::OneOf(wanted) => value.is_some_and(|value| wanted.contains(value)),
                Test::NoneOf(unwanted) => value.is_none_or(|value| !unwanted.contains(value)),
                Test::Above(bound) => number().is_some_and(|number| number > *bound),
                Test::Below(bound) => number().is_some_and(|number| number < *bound),
            }
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A cursor over the text of a selector.
struct Parser<'a> {
    /// The whole text.
    text: &'a str,
    /// What is not read yet.
    chars: Peekable<CharIndices<'a>>,
}

impl<'a> Parser<'a> {
    /// Reads everything: requirements with commas between.
    fn requirements(&mut self) -> Result<Vec<Requirement>, SourceError> {
        let mut requirements = Vec::new();
        self.skip_space();
        if self.peek().is_none() {
            return Ok(requirements);
        }
        loop {
            requirements.push(self.requirement()?);
            self.skip_space();
            match self.peek() {
                None => return Ok(requirements),
                Some(',') => self.advance(),
                Some(_) => return Err(self.expected("a comma or the end")),
            }
        }
    }

    /// Reads one requirement.
    fn requirement(&mut self) -> Result<Requirement, SourceError> {
        self.skip_space();
        if self.peek() == Some('!') {
            self.advance();
            self.skip_space();
            return Ok(Requirement { key: self.key()?, test: Test::Missing });
        }
        let key = self.key()?;
        self.skip_space();
        let test = match self.peek() {
            None | Some(',') => Test::Exists,
            Some('=') => {
                self.advance();
                if self.peek() == Some('=') {
                    self.advance();
                }
                Test::OneOf(vec![self.value()?])
            }
            Some('!') => {
                self.advance();
                if self.peek() != Some('=') {
                    return Err(self.expected("'=' after '!'"));
                }
                self.advance();
                Test::NoneOf(vec![self.value()?])
            }
            Some('>') => {
                self.advance();
                Test::Above(self.integer()?)
            }
            Some('<') => {
                self.advance();
                Test::Below(self.integer()?)
            }
            Some(_) => {
                let here = self.chars.clone();
                match self.word() {
                    "in" => Test::OneOf(self.set()?),
                    "notin" => Test::NoneOf(self.set()?),
                    _ => {
                        self.chars = here;
                        return Err(self.expected("'=', '==', '!=', '<', '>', 'in' or 'notin'"));
                    }
                }
            }
        };
        Ok(Requirement { key, test })
    }

    /// Reads a label's key: a name, optionally behind a DNS name and `/`.
    fn key(&mut self) -> Result<Box<str>, SourceError> {
        let here = self.chars.clone();
        let word = self.word();
        let (prefix, name) = word.split_once('/').map_or((None, word), |(prefix, name)| (Some(prefix), name));
        let good = is_label_name(name)
            && prefix
                .is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(super::object::is_label));
        if good {
            return Ok(word.into());
        }
        self.chars = here;
        Err(self.expected("the key of a label"))
    }

    /// Reads a label's value, which may be empty.
    fn value(&mut self) -> Result<Box<str>, SourceError> {
        self.skip_space();
        let here = self.chars.clone();
        let word = self.word();
        if word.is_empty() || is_label_name(word) {
            return Ok(word.into());
        }
        self.chars = here;
        Err(self.expected("the value of a label"))
    }

    /// Reads an integer.
    fn integer(&mut self) -> Result<i64, SourceError> {
        self.skip_space();
        let here = self.chars.clone();
        if let Ok(number) = self.word().parse() {
            return Ok(number);
        }
        self.chars = here;
        Err(self.expected("an integer"))
    }

    /// Reads `(value, value)`.
    fn set(&mut self) -> Result<Vec<Box<str>>, SourceError> {
        self.skip_space();
        if self.peek() != Some('(') {
            return Err(self.expected("'('"));
        }
        let mut values = Vec::new();
        loop {
            self.advance();
            values.push(self.value()?);
            self.skip_space();
            match self.peek() {
                Some(',') => {}
                Some(')') => {
                    self.advance();
                    return Ok(values);
                }
                _ => return Err(self.expected("a comma or ')'")),
            }
        }
    }

    /// Reads up to the next space or sign; may be empty.
    fn word(&mut self) -> &'a str {
        let start = self.offset();
        while self.peek().is_some_and(|c| !c.is_whitespace() && !"=!,()<>".contains(c)) {
            self.advance();
        }
        self.text.get(start..self.offset()).unwrap_or_default()
    }

    /// Skips white space.
    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.advance();
        }
    }

    /// The next character.
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    /// Goes past the next character.
    fn advance(&mut self) {
        self.chars.next();
    }

    /// The byte offset of the next character.
    fn offset(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    /// The error that `expected` is not what stands here.
    fn expected(&mut self, expected: &'static str) -> SourceError {
        let offset = self.offset();
        let at = self.text.get(..offset).map_or(0, |before| before.chars().count()) + 1;
        let found = self.peek().map_or_else(|| "the end".to_owned(), |c| format!("{c:?}"));
        SourceError::Selector { text: self.text.to_owned(), at, expected, found }
    }
}

/// True for the name part of a label's key, and for a label's value that is not empty.
fn is_label_name(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    text.len() <= 63
        && edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
