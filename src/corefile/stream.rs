//! The tokens of a whole configuration in reading order: imports opened in place, variables replaced.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::error::{Error, Problem};
use super::lexer::{self, Lexeme, MAX_TOKENS, Mark};
use super::location::Location;
use super::placeholders;
use super::source::{ImportFault, Source};
use super::spec::Token;
use super::variables;
use super::warning::{Notice, Warning};

/// The longest text of all files together, each import counted. Unit: bytes.
const MAX_TEXT: usize = 16 << 20;

/// Imports within imports.
const MAX_DEPTH: usize = 32;

/// Imports of a configuration, each file and each use of a snippet counted.
const MAX_IMPORTS: usize = 10_000;

/// Warnings kept; a file that makes more is not read more carefully for it.
const MAX_WARNINGS: usize = 100;

/// The tokens to come: a stack of files and snippets, the innermost import on top.
pub(super) struct Stream<'s> {
    /// Where files and variables come from.
    source: &'s dyn Source,
    /// What is being read, innermost last.
    frames: Vec<Frame>,
    /// Snippets defined so far, by name, with the place of their name.
    snippets: BTreeMap<String, (Rc<[Lexeme]>, Location)>,
    /// Whether the next token starts a line because an import began or ended before it.
    fresh: bool,
    /// Tokens handed out so far.
    tokens: usize,
    /// Tokens of the files opened so far.
    lexed: usize,
    /// Bytes read so far.
    bytes: usize,
    /// Imports so far.
    imports: usize,
    /// What is odd so far.
    pub(super) warnings: Vec<Warning>,
    /// Files read so far, each once.
    pub(super) files: Vec<String>,
}

/// A file or snippet that is being read.
struct Frame {
    /// Its tokens.
    lexemes: Rc<[Lexeme]>,
    /// Index of the next token.
    next: usize,
    /// Which file or snippet it is, and through which ones it was reached.
    lineage: Rc<Lineage>,
    /// The `import` that opened it; `None` for the Corefile itself.
    imported_at: Option<Arc<Location>>,
}

/// A file or snippet and the imports that led to it.
struct Lineage {
    /// What it is.
    origin: Origin,
    /// What imported it.
    parent: Option<Rc<Lineage>>,
    /// Imports on the way.
    depth: usize,
}

/// What can be imported.
#[derive(PartialEq, Eq)]
enum Origin {
    /// A file, by name.
    File(String),
    /// A snippet, by name.
    Snippet(String),
}

impl<'s> Stream<'s> {
    /// The tokens of the Corefile `name`.
    ///
    /// Errors: those of the lexer.
    pub(super) fn open(name: &str, text: &str, source: &'s dyn Source) -> Result<Self, Error> {
        let lexemes = placeholders::fill(lexer::lex(&Arc::from(name), text)?, source)?;
        let lexemes: Rc<[Lexeme]> = lexemes.into();
        let lineage = Rc::new(Lineage { origin: Origin::File(name.to_owned()), parent: None, depth: 0 });
        Ok(Self {
            source,
            tokens: 0,
            lexed: lexemes.len(),
            frames: vec![Frame { lexemes, next: 0, lineage, imported_at: None }],
            snippets: BTreeMap::new(),
            fresh: true,
            bytes: text.len(),
            imports: 0,
            warnings: Vec::new(),
            files: vec![name.to_owned()],
        })
    }

    /// The next token as written, left in place.
    pub(super) fn peek(&mut self) -> Option<Lexeme> {
        while let Some(frame) = self.frames.last() {
            if let Some(lexeme) = frame.lexemes.get(frame.next) {
                let mut lexeme = lexeme.clone();
                lexeme.first |= self.fresh;
                // A snippet's tokens may themselves stand in an imported file; the way to the use matters more.
                if let Some(via) = &frame.imported_at {
                    lexeme.token.at = lexeme.token.at.imported(Some(Arc::clone(via)));
                }
                return Some(lexeme);
            }
            self.frames.pop();
            self.fresh = true;
        }
        None
    }

    /// Takes the next token as written, for the body of a snippet.
    ///
    /// Errors: `TooManyTokens`.
    pub(super) fn take_raw(&mut self) -> Result<Option<Lexeme>, Error> {
        let Some(lexeme) = self.peek() else { return Ok(None) };
        if let Some(frame) = self.frames.last_mut() {
            frame.next = frame.next.saturating_add(1);
        }
        self.fresh = false;
        self.tokens = self.tokens.saturating_add(1);
        if self.tokens > MAX_TOKENS {
            return Err(Error::new(lexeme.token.at, Problem::TooManyTokens { limit: MAX_TOKENS }));
        }
        Ok(Some(lexeme))
    }

    /// Takes the next token, its variables replaced.
    ///
    /// Errors: `TooManyTokens`, `VariableLoop`.
    pub(super) fn take(&mut self) -> Result<Option<Token>, Error> {
        match self.take_raw()? {
            Some(lexeme) => self.replace(lexeme.token).map(Some),
            None => Ok(None),
        }
    }

    /// The token with its variables replaced; an unset one is nothing, and a warning.
    fn replace(&mut self, token: Token) -> Result<Token, Error> {
        if !token.text.contains("{$") && !token.text.contains("{%") {
            return Ok(token);
        }
        let source = self.source;
        let mut unset = Vec::new();
        let replaced = variables::replace(&token.text, |name| {
            source.env(name).unwrap_or_else(|| {
                unset.push(name.to_owned());
                String::new()
            })
        });
        for name in unset {
            self.warn(token.at.clone(), Notice::UnsetVariable { name });
        }
        match replaced {
            Some(text) => Ok(Token { text, ..token }),
            None => {
                let text = token.text.chars().take(60).collect();
                Err(Error::new(token.at, Problem::VariableLoop { text }))
            }
        }
    }

    /// Notes something odd.
    pub(super) fn warn(&mut self, at: Location, notice: Notice) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(Warning { at, notice });
        }
    }

    /// Keeps the body of a snippet for later imports.
    ///
    /// Errors: `SnippetTwice`.
    pub(super) fn define(&mut self, name: String, body: Vec<Lexeme>, at: Location) -> Result<(), Error> {
        if let Some((_, first)) = self.snippets.get(&name) {
            let first = Box::new(first.clone());
            return Err(Error::new(at, Problem::SnippetTwice { name, first }));
        }
        self.snippets.insert(name, (body.into(), at));
        Ok(())
    }

    /// Whether another argument of the statement just read follows on its line.
    ///
    /// Looks into the innermost frame only: leaving it would lose track of who imports whom.
    fn argument_follows(&self) -> bool {
        self.frames
            .last()
            .and_then(|frame| frame.lexemes.get(frame.next))
            .is_some_and(|lexeme| !lexeme.first && !self.fresh)
    }

    /// Takes an `import` and its argument, and goes on with what it names.
    ///
    /// A snippet of that name comes before a file. A glob without a match leaves a warning and nothing else.
    ///
    /// Errors: `ImportNothing`, `ImportMore`, `ImportCycle`, `ImportDepth`, `ImportCount`, `Import`, `TextTooLong`,
    /// and those of the lexer for the files.
    pub(super) fn import(&mut self) -> Result<(), Error> {
        let Some(statement) = self.take_raw()? else { return Ok(()) };
        let at = statement.token.at;
        let lineage = self.frames.last().map(|frame| Rc::clone(&frame.lineage));
        let argument = if self.argument_follows() { self.take()? } else { None };
        let Some(argument) = argument.filter(|token| !token.text.is_empty()) else {
            return Err(Error::new(at, Problem::ImportNothing));
        };
        if self.argument_follows()
            && let Some(more) = self.take_raw()?
        {
            let error = Error::new(more.token.at, Problem::ImportMore { text: more.token.text });
            return Err(if more.mark == Mark::Word {
                error
            } else {
                error.hint("put the brace on a line of its own")
            });
        }
        let via = Arc::new(argument.at.clone());
        if let Some((body, _)) = self.snippets.get(&argument.text) {
            let body = Rc::clone(body);
            return self.push(Origin::Snippet(argument.text), body, lineage, &via);
        }
        let pattern = argument.text;
        let from = self.importing_file(lineage.as_deref());
        let found = self.source.files(&pattern, &from);
        let files = found.map_err(|fault| self.import_fault(&argument.at, &pattern, fault))?;
        if files.is_empty() {
            self.warn(argument.at.clone(), Notice::NoMatch { pattern });
        }
        let mut opened = Vec::new();
        for (name, text) in files {
            self.bytes = self.bytes.saturating_add(text.len());
            if self.bytes > MAX_TEXT {
                return Err(Error::new(argument.at, Problem::TextTooLong { limit: MAX_TEXT }));
            }
            let lexemes = placeholders::fill(lexer::lex(&Arc::from(name.as_str()), &text)?, self.source)?;
            self.lexed = self.lexed.saturating_add(lexemes.len());
            if self.lexed > MAX_TOKENS {
                return Err(Error::new(argument.at, Problem::TooManyTokens { limit: MAX_TOKENS }));
            }
            if !self.files.contains(&name) {
                self.files.push(name.clone());
            }
            opened.push((name, lexemes));
        }
        // The frame pushed last is read first.
        for (name, lexemes) in opened.into_iter().rev() {
            self.push(Origin::File(name), lexemes.into(), lineage.clone(), &via)?;
        }
        Ok(())
    }

    /// The error of a file that cannot be had, with the snippets there are where that may help.
    fn import_fault(&self, at: &Location, pattern: &str, fault: ImportFault) -> Error {
        let near = super::arguments::nearest(pattern, self.snippets.keys().map(String::as_str));
        let missing = matches!(fault, ImportFault::NotFound);
        let error = Error::new(at.clone(), Problem::Import { pattern: pattern.to_owned(), fault });
        match near {
            Some(name) if missing => error.hint(format!("there is a snippet `({name})`")),
            _ => error,
        }
    }

    /// The file whose folder relative paths start from: the innermost one, snippets passed over.
    fn importing_file(&self, lineage: Option<&Lineage>) -> String {
        let mut next = lineage;
        while let Some(step) = next {
            if let Origin::File(name) = &step.origin {
                return name.clone();
            }
            next = step.parent.as_deref();
        }
        String::new()
    }

    /// Goes on with these tokens, then comes back.
    fn push(
        &mut self,
        origin: Origin,
        lexemes: Rc<[Lexeme]>,
        parent: Option<Rc<Lineage>>,
        via: &Arc<Location>,
    ) -> Result<(), Error> {
        let fail = |problem| Err(Error::new(Location::clone(via), problem));
        self.imports = self.imports.saturating_add(1);
        if self.imports > MAX_IMPORTS {
            return fail(Problem::ImportCount { limit: MAX_IMPORTS });
        }
        let depth = parent.as_ref().map_or(0, |step| step.depth).saturating_add(1);
        if depth > MAX_DEPTH {
            return fail(Problem::ImportDepth { limit: MAX_DEPTH });
        }
        let mut next = parent.as_ref();
        while let Some(step) = next {
            if step.origin == origin {
                let (Origin::File(name) | Origin::Snippet(name)) = origin;
                return fail(Problem::ImportCycle { name });
            }
            next = step.parent.as_ref();
        }
        let lineage = Rc::new(Lineage { origin, parent, depth });
        self.frames.push(Frame { lexemes, next: 0, lineage, imported_at: Some(Arc::clone(via)) });
        self.fresh = true;
        Ok(())
    }
}
