//! Tokens to blocks: key lines, directive lines, braces and snippets.

use super::error::{Error, Problem};
use super::key;
use super::lexer::Mark;
use super::location::Location;
use super::overlap;
use super::source::Source;
use super::spec::{Block, Directive, Key, Spec, Token};
use super::stream::Stream;
use super::warning::Notice;

/// Braces within braces.
const MAX_NESTING: usize = 32;

/// Zones of all keys, CIDRs expanded.
const MAX_ZONES: usize = 100_000;

/// Reads the Corefile `text`, called `name` in messages and for relative imports.
///
/// A file without any block is no error: the `Spec` has no blocks then.
///
/// Errors: the first fault found, see [`Problem`].
/// Source: coredns/caddy `caddyfile/parse.go`, coredns `corefile.5.md`, rules S-01 and S-02.
pub fn parse(name: &str, text: &str, source: &dyn Source) -> Result<Spec, Error> {
    let mut parser = Parser { stream: Stream::open(name, text, source)?, zones: 0 };
    let mut blocks = Vec::new();
    while let Some(block) = parser.block()? {
        blocks.push(block);
    }
    overlap::check(&blocks, source.dns_port())?;
    Ok(Spec { blocks, warnings: parser.stream.warnings, files: parser.stream.files })
}

/// The reader of blocks.
struct Parser<'s> {
    /// The tokens to come.
    stream: Stream<'s>,
    /// Zones of all keys so far.
    zones: usize,
}

/// Where a line of directives stands.
#[derive(Clone, Copy)]
struct Level<'a> {
    /// Braces around it inside the server block: 0 for the block's own directives.
    depth: usize,
    /// The `{` that began the block; `None` for a block without braces.
    opened: Option<&'a Location>,
}

impl Parser<'_> {
    /// The next server block, snippets before it remembered; `None` at the end.
    fn block(&mut self) -> Result<Option<Block>, Error> {
        loop {
            let tokens = self.key_line()?;
            let braces = self.stream.peek().filter(|lexeme| lexeme.mark == Mark::Open);
            if let Some(name) = snippet_name(&tokens) {
                self.snippet(name)?;
                continue;
            }
            let mut keys = Vec::new();
            for token in &tokens {
                keys.push(self.key(token)?);
            }
            let Some(at) = keys.first().map(|key| key.at.clone()) else {
                return match braces {
                    Some(lexeme) => Err(Error::new(lexeme.token.at, Problem::NoKey)),
                    None => Ok(None),
                };
            };
            let directives = match braces {
                Some(lexeme) => {
                    self.stream.take_raw()?;
                    self.lines(Level { depth: 0, opened: Some(&lexeme.token.at) })?
                }
                None => self.lines(Level { depth: 0, opened: None })?,
            };
            return Ok(Some(Block { keys, directives, at }));
        }
    }

    /// The keys of one block, cut at commas; empty at the end of the text.
    ///
    /// Ends before a `{`, and before the first token of the next line unless a comma promised one more key.
    fn key_line(&mut self) -> Result<Vec<Token>, Error> {
        let mut keys: Vec<Token> = Vec::new();
        let mut comma: Option<Location> = None;
        while let Some(lexeme) = self.stream.peek() {
            let at = lexeme.token.at;
            let begun = !keys.is_empty() && comma.is_none();
            match lexeme.mark {
                Mark::Open if comma.is_some() => {
                    return Err(Error::new(at, Problem::KeyExpected { found: "`{`" }));
                }
                Mark::Open => break,
                Mark::Close => return Err(Error::new(at, Problem::UnexpectedClose)),
                _ if begun && lexeme.first => break,
                Mark::Import if lexeme.first => self.stream.import()?,
                Mark::Import | Mark::Word => {
                    if let Some(token) = self.stream.take()? {
                        split_commas(&token, &mut keys, &mut comma)?;
                    }
                }
            }
        }
        match comma {
            Some(at) if self.stream.peek().is_none() => {
                Err(Error::new(at, Problem::KeyExpected { found: "the end of the file" }))
            }
            _ => Ok(keys),
        }
    }

    /// Parses a key, and warns about an address that is read as a name.
    fn key(&mut self, token: &Token) -> Result<Key, Error> {
        let key = key::parse(token)?;
        self.zones = self.zones.saturating_add(key.zones.len());
        if self.zones > MAX_ZONES {
            return Err(Error::new(key.at, Problem::TooManyZones { limit: MAX_ZONES }));
        }
        if let Some(text) = key::address(&token.text) {
            self.stream.warn(token.at.clone(), Notice::AddressAsName { text });
        }
        Ok(key)
    }

    /// Reads and remembers the body of a snippet, whose name was just read.
    fn snippet(&mut self, (name, at): (String, Location)) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::new(at, Problem::SnippetName));
        }
        let Some(open) = self.stream.peek().filter(|lexeme| lexeme.mark == Mark::Open) else {
            return Err(Error::new(at, Problem::SnippetBody { name }));
        };
        self.stream.take_raw()?;
        let mut depth = 0_usize;
        let mut body = Vec::new();
        while let Some(lexeme) = self.stream.take_raw()? {
            match lexeme.mark {
                Mark::Open => depth = depth.saturating_add(1),
                Mark::Close if depth == 0 => return self.stream.define(name, body, at),
                Mark::Close => depth = depth.saturating_sub(1),
                Mark::Import | Mark::Word => {}
            }
            body.push(lexeme);
        }
        Err(Error::new(open.token.at, Problem::UnclosedBrace))
    }

    /// The lines up to the `}` of this level, which is taken, or up to the end of the text.
    fn lines(&mut self, level: Level<'_>) -> Result<Vec<Directive>, Error> {
        let mut lines = Vec::new();
        while let Some(lexeme) = self.stream.peek() {
            match (lexeme.mark, level.opened) {
                (Mark::Close, Some(_)) => {
                    self.stream.take_raw()?;
                    return Ok(lines);
                }
                (Mark::Close, None) => {
                    return Err(Error::new(lexeme.token.at, Problem::UnexpectedClose));
                }
                (Mark::Open, _) => return Err(Error::new(lexeme.token.at, Problem::OpenAlone)),
                (Mark::Import, _) => self.stream.import()?,
                (Mark::Word, _) => {
                    if let Some(word) = self.stream.take()? {
                        lines.push(self.directive(word, level)?);
                    }
                }
            }
        }
        match level.opened {
            Some(at) => Err(Error::new(at.clone(), Problem::UnclosedBrace)),
            None => Ok(lines),
        }
    }

    /// The rest of a line whose word was just read, with its block.
    fn directive(&mut self, word: Token, level: Level<'_>) -> Result<Directive, Error> {
        if level.depth == 0 && !word.quoted && word.text.ends_with('{') {
            return Err(Error::new(word.at, Problem::BraceGlued { text: word.text }));
        }
        let mut args = Vec::new();
        while let Some(lexeme) = self.stream.peek().filter(|lexeme| !lexeme.first) {
            let at = lexeme.token.at;
            match lexeme.mark {
                Mark::Open => {
                    if level.depth >= MAX_NESTING {
                        return Err(Error::new(at, Problem::TooDeep { limit: MAX_NESTING }));
                    }
                    self.stream.take_raw()?;
                    let inner = Level { depth: level.depth.saturating_add(1), opened: Some(&at) };
                    let block = self.lines(inner)?;
                    self.line_ends(level)?;
                    return Ok(Directive { word, args, block: Some(block) });
                }
                Mark::Close if level.depth == 0 => {
                    let problem =
                        if level.opened.is_some() { Problem::CloseOnLine } else { Problem::UnexpectedClose };
                    return Err(Error::new(at, problem));
                }
                Mark::Close => break,
                Mark::Import | Mark::Word => args.extend(self.stream.take()?),
            }
        }
        Ok(Directive { word, args, block: None })
    }

    /// Checks that nothing follows the `}` of a directive on its line, but for the `}` of the block around it.
    fn line_ends(&mut self, level: Level<'_>) -> Result<(), Error> {
        match self.stream.peek() {
            Some(lexeme) if !lexeme.first && (lexeme.mark != Mark::Close || level.depth == 0) => {
                Err(Error::new(lexeme.token.at, Problem::AfterClose { text: lexeme.token.text }))
            }
            _ => Ok(()),
        }
    }
}

/// The name in `(name)` and its place, where that is the only key.
fn snippet_name(keys: &[Token]) -> Option<(String, Location)> {
    match keys {
        [token] if !token.quoted => {
            let name = token.text.strip_prefix('(')?.strip_suffix(')')?;
            Some((name.to_owned(), token.at.clone()))
        }
        _ => None,
    }
}

/// Appends the keys in `token`; `comma` is the place of a comma that still waits for its key.
///
/// An empty piece is nothing: an unset variable leaves one, and a comma may stand apart from both its neighbours.
///
/// Errors: `ExtraComma`.
fn split_commas(token: &Token, keys: &mut Vec<Token>, comma: &mut Option<Location>) -> Result<(), Error> {
    let quote = u32::from(token.quoted);
    let mut skip = quote;
    for (index, piece) in token.text.split(',').enumerate() {
        if index > 0 {
            let at = token.at.part(skip, 1);
            if keys.is_empty() || comma.is_some() {
                return Err(Error::new(at, Problem::ExtraComma));
            }
            *comma = Some(at);
            skip = skip.saturating_add(1);
        }
        let width = u32::try_from(piece.chars().count()).unwrap_or(u32::MAX);
        if !piece.is_empty() {
            let whole = piece.len() == token.text.len();
            let at = if whole { token.at.clone() } else { token.at.part(skip, width) };
            keys.push(Token { text: piece.to_owned(), quoted: token.quoted, at });
            *comma = None;
        }
        skip = skip.saturating_add(width);
    }
    Ok(())
}
