//! The text of a zone file to a zone: directives, owners, TTLs.

use super::build::{Builder, Refusal, Zone};
use super::generate::{Generated, MOST_IN_ALL, generate};
use crate::wire::presentation::{Entry, Lexer, TTL, Token, absolute, rdata_from_words, seconds};
use crate::wire::{show_name, type_number};

/// How deep files may include files. Source: coredns (miekg/dns).
const DEPTH: usize = 7;

/// The most files that a zone includes, each as often as it is included.
pub(super) const INCLUDED: usize = 1000;

/// How many faults that are passed over are told.
const TOLD: usize = 10;

/// What is wrong in a zone file, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong.
    pub why: String,
}

/// Where included files come from.
pub trait Files {
    /// The file that `path` names in the file `from`: its name for messages, and its text.
    ///
    /// Errors: in words.
    fn open(&mut self, path: &str, from: &str) -> Result<(String, Vec<u8>), String>;
}

/// What holds over the entries of a file.
#[derive(Clone)]
struct State {
    /// What completes names, wire form.
    origin: Vec<u8>,
    /// The last owner, wire form.
    owner: Option<Vec<u8>>,
    /// The TTL of records that name none.
    ttl: u32,
    /// Whether it was set by `$TTL`: then TTLs of records change nothing.
    directed: bool,
}

/// A zone that is being read.
struct Reading<'a> {
    /// What there is of it.
    builder: Builder,
    /// Where included files come from.
    files: &'a mut dyn Files,
    /// What was passed over.
    passed: Vec<Fault>,
    /// How many lines directives may still make, and how many all of them may.
    lines: (u64, u64),
    /// How many files were included.
    included: usize,
}

/// Reads the text of a zone file; `origin` is the zone, wire form, lower case. Returns the zone and what was passed over.
///
/// Directives: `$ORIGIN`, `$TTL`, `$INCLUDE FILE [ORIGIN]`, `$GENERATE`. Records outside of the zone are passed over.
///
/// Errors: the first thing that is wrong, with its place. Source: RFC 1035 §5.1, RFC 2308 §4.
pub fn read(
    name: &str,
    text: &[u8],
    origin: &[u8],
    files: &mut dyn Files,
) -> Result<(Zone, Vec<Fault>), Fault> {
    read_within(MOST_IN_ALL, (name, text), origin, files)
}

/// The same where all `$GENERATE` together make at most so many lines.
pub(super) fn read_within(
    most: u64,
    (name, text): (&str, &[u8]),
    origin: &[u8],
    files: &mut dyn Files,
) -> Result<(Zone, Vec<Fault>), Fault> {
    let mut reading = Reading {
        builder: Builder::new(origin),
        files,
        passed: Vec::new(),
        lines: (most, most),
        included: 0,
    };
    let mut state = State { origin: origin.to_vec(), owner: None, ttl: TTL, directed: false };
    let last = reading.file(name, text, &mut state, 0)?;
    let fault = |refusal: Refusal| Fault { file: name.to_owned(), line: last, why: refusal.to_string() };
    let zone = reading.builder.finish().map_err(fault)?;
    Ok((zone, reading.passed))
}

impl Reading<'_> {
    /// Reads one file; returns its last line.
    fn file(&mut self, file: &str, text: &[u8], state: &mut State, depth: usize) -> Result<u32, Fault> {
        let mut lexer = Lexer::new(text);
        loop {
            let fault = |line, why: String| Fault { file: file.to_owned(), line, why };
            let entry = lexer.entry().map_err(|why| fault(lexer.line(), why.to_owned()))?;
            let Some(entry) = entry else { return Ok(lexer.line()) };
            let line = entry.line;
            let directive = entry.tokens.first().filter(|token| !entry.blank && token.text.starts_with(b"$"));
            match directive {
                None => self.record(&entry, state, file)?,
                Some(word) => {
                    let arguments = entry.tokens.get(1..).unwrap_or_default();
                    match word.text.to_ascii_uppercase().as_slice() {
                        b"$ORIGIN" => {
                            let [name] = arguments else {
                                return Err(fault(line, "$ORIGIN needs one name".to_owned()));
                            };
                            let origin = absolute(&name.text, &state.origin);
                            state.origin = origin
                                .ok_or_else(|| fault(line, format!("`{}` is no name", name.shown())))?;
                        }
                        b"$TTL" => {
                            let ttl = match arguments {
                                [ttl] => ttl_of(ttl).map_err(|why| fault(line, why))?,
                                _ => return Err(fault(line, "$TTL needs one number of seconds".to_owned())),
                            };
                            (state.ttl, state.directed) = (ttl, true);
                        }
                        b"$INCLUDE" => self.include(arguments, state, (file, line), depth)?,
                        b"$GENERATE" => {
                            let entries = generate(arguments).map_err(|why| fault(line, why))?;
                            self.generated(entries, state, file, line)?;
                        }
                        _ => return Err(fault(line, format!("`{}` is no directive", word.shown()))),
                    }
                }
            }
        }
    }

    /// Reads an included file; what it sets does not outlive it.
    fn include(
        &mut self,
        arguments: &[Token],
        state: &State,
        (file, line): (&str, u32),
        depth: usize,
    ) -> Result<(), Fault> {
        let fault = |why: String| Fault { file: file.to_owned(), line, why };
        let (path, origin) = match arguments {
            [path] => (path, None),
            [path, origin] => (path, Some(origin)),
            _ => return Err(fault("$INCLUDE needs a file and, if at all, one name".to_owned())),
        };
        if depth >= DEPTH {
            return Err(fault(format!("files include files more than {DEPTH} deep")));
        }
        self.included += 1;
        if self.included > INCLUDED {
            // A few that include each other twice are thousands at the bottom.
            return Err(fault(format!("this zone includes more than {INCLUDED} files")));
        }
        let mut inner = state.clone();
        if let Some(origin) = origin {
            let name = absolute(&origin.text, &state.origin);
            inner.origin = name.ok_or_else(|| fault(format!("`{}` is no name", origin.shown())))?;
        }
        let path = String::from_utf8_lossy(&path.text).into_owned();
        let (name, text) = self.files.open(&path, file).map_err(|why| fault(format!("{path}: {why}")))?;
        self.file(&name, &text, &mut inner, depth + 1).map(drop)
    }

    /// Adds the records of a `$GENERATE`.
    fn generated(&mut self, entries: Generated, state: &State, file: &str, line: u32) -> Result<(), Fault> {
        let fault = |why: String| Fault { file: file.to_owned(), line, why };
        let (left, most) = self.lines;
        let left = left.checked_sub(entries.lines());
        let left =
            left.ok_or_else(|| fault(format!("$GENERATE makes more than {most} records of this zone")))?;
        self.lines.0 = left;
        let mut inner = state.clone();
        for text in entries {
            let text = text.map_err(fault)?;
            let entry = Lexer::new(text.as_bytes()).entry().map_err(|why| fault(why.to_owned()))?;
            if let Some(mut entry) = entry {
                entry.line = line;
                self.record(&entry, &mut inner, file)?;
            }
        }
        Ok(())
    }

    /// Adds one record.
    fn record(&mut self, entry: &Entry, state: &mut State, file: &str) -> Result<(), Fault> {
        let fault = |why: String| Fault { file: file.to_owned(), line: entry.line, why };
        let mut words = entry.tokens.as_slice();
        if !entry.blank
            && let Some((owner, rest)) = words.split_first()
        {
            let name = absolute(&owner.text, &state.origin);
            state.owner = Some(name.ok_or_else(|| fault(format!("`{}` is no name", owner.shown())))?);
            words = rest;
        }
        let owner = state
            .owner
            .clone()
            .ok_or_else(|| fault("no owner stands here, and none before it".to_owned()))?;
        let (mut ttl, mut class) = (None, None);
        let rtype = loop {
            let Some((word, rest)) = words.split_first() else {
                return Err(fault("a type is missing".to_owned()));
            };
            words = rest;
            if ttl.is_none() && word.text.first().is_some_and(u8::is_ascii_digit) {
                ttl = Some(ttl_of(word).map_err(fault)?);
            } else if class.is_none() && is_class(&word.text) {
                if !word.text.eq_ignore_ascii_case(b"IN") {
                    return Err(fault(format!("class {} is not served, only IN", word.shown())));
                }
                class = Some(());
            } else {
                let text = std::str::from_utf8(&word.text).unwrap_or_default();
                break type_number(text)
                    .ok_or_else(|| fault(format!("`{}` is no type, TTL or class", word.shown())))?;
            }
        };
        if let Some(ttl) = ttl
            && !state.directed
        {
            state.ttl = ttl;
        }
        if matches!(rtype, 50 | 51) {
            return Err(fault("zones with NSEC3 are not served: sign with NSEC".to_owned()));
        }
        let rdata = rdata_from_words(rtype, words, &state.origin).map_err(fault)?;
        match self.builder.add(&owner, rtype, ttl.unwrap_or(state.ttl), &rdata) {
            Ok(()) => {}
            Err(Refusal::Outside) => {
                if self.passed.len() < TOLD {
                    let why = format!("{} lies outside of the zone and is left out", show_name(&owner));
                    self.passed.push(fault(why));
                }
            }
            Err(refusal) => return Err(fault(refusal.to_string())),
        }
        Ok(())
    }
}

/// Whether a word is a class.
fn is_class(word: &[u8]) -> bool {
    [b"IN".as_slice(), b"CH", b"HS", b"CS"].iter().any(|class| word.eq_ignore_ascii_case(class))
}

/// The TTL that a word is (RFC 2181 §8). Errors: it is none.
fn ttl_of(word: &Token) -> Result<u32, String> {
    seconds(&word.text)
        .filter(|ttl| *ttl <= 0x7fff_ffff)
        .ok_or_else(|| format!("`{}` is no TTL", word.shown()))
}
