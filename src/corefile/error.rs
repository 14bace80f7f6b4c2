//! What can be wrong with a Corefile, said so that the reader knows what to do.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt;

use super::location::Location;
use super::source::ImportFault;
use super::spec::Directive;
use super::zone::ZoneFault;

/// A fault in a Corefile, with its place; displays as one line, `Corefile:7:5: what is wrong`.
///
/// [`Error::render`] gives the longer form with the source line and a hint.
#[derive(Debug)]
pub struct Error(Box<Inside>);

/// The parts of an [`Error`], boxed to keep every `Result` small.
#[derive(Debug)]
struct Inside {
    /// Where.
    at: Location,
    /// The directive that complains, where one does.
    word: Option<String>,
    /// What.
    problem: Problem,
    /// What to do about it, where the problem does not say so itself.
    hint: Option<Cow<'static, str>>,
}

impl Error {
    /// A fault at this place.
    pub(super) fn new(at: Location, problem: Problem) -> Self {
        Self(Box::new(Inside { at, word: None, problem, hint: None }))
    }

    /// The same fault with a line on what to do about it; replaces an earlier one.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same fault, said by this directive; an inner directive that was named before stays.
    #[must_use]
    pub fn within(mut self, directive: &Directive) -> Self {
        self.0.word.get_or_insert_with(|| directive.word.text.clone());
        self
    }

    /// Where it is.
    #[must_use]
    pub fn at(&self) -> &Location {
        &self.0.at
    }

    /// What it is.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// The long form: the one-line message, the source line with a caret, imports on the way, causes and a hint.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = self.to_string();
        self.0.at.render(&mut out);
        let mut cause = self.source();
        while let Some(fault) = cause {
            out.push_str(&format!("\n  = because {fault}"));
            cause = fault.source();
        }
        let hint = self.0.hint.as_deref().or_else(|| self.0.problem.hint());
        if let Some(hint) = hint {
            out.push_str(&format!("\n  = hint: {hint}"));
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.0.at)?;
        if let Some(word) = &self.0.word {
            write!(f, "{word}: ")?;
        }
        write_short(f, &self.0.problem.to_string())
    }
}

/// Characters of a message that are shown.
const MAX_MESSAGE: usize = 400;

/// Writes a message that holds text of the Corefile: cut where it is very long, control characters made visible.
pub(super) fn write_short(f: &mut fmt::Formatter<'_>, message: &str) -> fmt::Result {
    for (index, c) in message.chars().enumerate() {
        if index >= MAX_MESSAGE {
            return f.write_str("…");
        }
        if c.is_control() {
            write!(f, "{}", c.escape_debug())?;
        } else {
            write!(f, "{c}")?;
        }
    }
    Ok(())
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.problem.source()
    }
}

/// What is wrong.
#[derive(thiserror::Error, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// A file is over the limit.
    #[error("the file is longer than {limit} bytes")]
    FileTooLong {
        /// Unit: bytes.
        limit: usize,
    },
    /// All files together are over the limit.
    #[error("the Corefile and its imports are together longer than {limit} bytes")]
    TextTooLong {
        /// Unit: bytes.
        limit: usize,
    },
    /// Too many words.
    #[error("the configuration has more than {limit} words")]
    TooManyTokens {
        /// Tokens allowed, imports counted each time.
        limit: usize,
    },
    /// Too many zones, or too many pairs of a zone and an address it is bound to.
    #[error("the configuration has more than {limit} zones, counted once for each address they are bound to")]
    TooManyZones {
        /// Zones allowed.
        limit: usize,
    },
    /// Braces within braces within braces.
    #[error("braces are nested more than {limit} deep")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// A quote without its end.
    #[error("this quoted text does not end")]
    UnclosedQuote,
    /// A brace without its end.
    #[error("this `{{` is not closed before the end of the file")]
    UnclosedBrace,
    /// A `}` without its beginning.
    #[error("this `}}` closes nothing")]
    UnexpectedClose,
    /// A server block's `}` behind a directive.
    #[error("the `}}` of a server block must stand on a line of its own")]
    CloseOnLine,
    /// A `{` at the start of a line inside a block.
    #[error("a line cannot begin with `{{` here")]
    OpenAlone,
    /// A `{` glued to a word.
    #[error("there must be a space before the `{{` in `{text}`")]
    BraceGlued {
        /// The word as written.
        text: String,
    },
    /// Words behind a `}`.
    #[error("`{text}` cannot follow a `}}` on the same line")]
    AfterClose {
        /// The word as written.
        text: String,
    },
    /// A block without keys.
    #[error("this block has no zone before its `{{`")]
    NoKey,
    /// Nothing between two commas, or before the first.
    #[error("a zone is missing before this comma")]
    ExtraComma,
    /// A comma and then no key.
    #[error("a zone must follow the comma, not {found}")]
    KeyExpected {
        /// What stands there.
        found: &'static str,
    },
    /// A key that is none.
    #[error("`{text}` cannot be a block's zone: {fault}")]
    Key {
        /// The key as written.
        text: String,
        /// Why.
        fault: ZoneFault,
    },
    /// A name or CIDR in a directive that is none.
    #[error("`{text}` is not a zone: {fault}")]
    Zone {
        /// The argument as written.
        text: String,
        /// Why.
        fault: ZoneFault,
    },
    /// A zone that is already served.
    #[error("`{zone}` on {scheme} port {port} is already served by the block at {first}")]
    Twice {
        /// The zone.
        zone: String,
        /// The scheme of the transport.
        scheme: &'static str,
        /// The port, default filled in.
        port: u16,
        /// The earlier key.
        first: Box<Location>,
    },
    /// A zone that is served on all addresses and on some.
    #[error(
        "`{zone}` on {scheme} port {port} is also served by the block at {first}, and only one of the two has `bind`"
    )]
    Overlap {
        /// The zone.
        zone: String,
        /// The scheme of the transport.
        scheme: &'static str,
        /// The port, default filled in.
        port: u16,
        /// The earlier key.
        first: Box<Location>,
    },
    /// A snippet without a name.
    #[error("the snippet has no name between its parentheses")]
    SnippetName,
    /// A snippet without braces.
    #[error("a `{{` must follow the snippet `({name})`")]
    SnippetBody {
        /// Its name.
        name: String,
    },
    /// A snippet defined before.
    #[error("the snippet `({name})` is already defined at {first}")]
    SnippetTwice {
        /// Its name.
        name: String,
        /// The earlier definition.
        first: Box<Location>,
    },
    /// `import` alone, or with an empty argument.
    #[error("`import` needs the name of a snippet or file")]
    ImportNothing,
    /// `import` with more than one argument.
    #[error("`import` takes one argument, and `{text}` is one more")]
    ImportMore {
        /// The second argument.
        text: String,
    },
    /// An import that reaches itself.
    #[error("`{name}` imports itself")]
    ImportCycle {
        /// The file or snippet.
        name: String,
    },
    /// Imports within imports within imports.
    #[error("imports are nested more than {limit} deep")]
    ImportDepth {
        /// Levels allowed.
        limit: usize,
    },
    /// Too many imports.
    #[error("there are more than {limit} imports")]
    ImportCount {
        /// Imports allowed, each file and snippet use counted.
        limit: usize,
    },
    /// A file that cannot be had.
    #[error("cannot import `{pattern}`")]
    Import {
        /// The argument, variables replaced.
        pattern: String,
        /// Why.
        #[source]
        fault: ImportFault,
    },
    /// Placeholders that nobody filled in.
    #[error("nothing is known for `{names}`")]
    Placeholder {
        /// All of them, each once.
        names: String,
    },
    /// Variables whose values name each other, or grow without end.
    #[error("the variables in `{text}` cannot be replaced: their values name each other or are too long")]
    VariableLoop {
        /// The token as written.
        text: String,
    },
    /// What a directive has to say.
    #[error("{problem}")]
    Directive {
        /// In its own words.
        problem: String,
    },
    /// Too few or too many arguments.
    #[error("`{word}` takes {expected}, not {found}")]
    ArgumentCount {
        /// The word of the line.
        word: String,
        /// The number allowed, in words.
        expected: String,
        /// The number found.
        found: usize,
    },
    /// Braces where none belong.
    #[error("`{word}` takes no lines in braces")]
    NoBlock {
        /// The word of the line.
        word: String,
    },
    /// A word that is not known here.
    #[error("`{text}` is not {what}")]
    Unknown {
        /// The word as written.
        text: String,
        /// What it should be, with its article: "a directive".
        what: &'static str,
    },
    /// No duration.
    #[error("`{text}` is not a duration")]
    Duration {
        /// The argument as written.
        text: String,
    },
    /// No number, or one out of range.
    #[error("`{text}` is not a number from {min} to {max}")]
    Number {
        /// The argument as written.
        text: String,
        /// The smallest allowed.
        min: String,
        /// The largest allowed.
        max: String,
    },
}

impl Problem {
    /// What to do about it, where the message leaves a question.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::UnclosedQuote => "write a `\"` at its end; a quote inside is written `\\\"`",
            Self::UnclosedBrace => {
                "write a `}` on a line of its own; if this block has one, a block inside it is not closed"
            }
            Self::UnexpectedClose => "remove it, or look for a `}` too many above",
            Self::CloseOnLine => "put the `}` on the next line",
            Self::OpenAlone => "put the `{` at the end of the line before, behind its directive",
            Self::AfterClose { .. } => "put it on the next line",
            Self::NoKey => "write the zone first, for example `.:53 {`; an unset variable leaves nothing",
            Self::KeyExpected { .. } => "remove the comma, or write the next zone",
            Self::Key { fault, .. } | Self::Zone { fault, .. } => return fault.hint(),
            Self::Twice { .. } => {
                "put the directives into one block, or tell the blocks apart with `bind` or `view`"
            }
            Self::Overlap { .. } => "give both blocks a `bind`, with different addresses",
            Self::SnippetTwice { .. } => "rename one of the two",
            Self::ImportMore { .. } => "write one `import` a line; snippets take no arguments",
            Self::Import { fault: ImportFault::NotFound, .. } => {
                "the path is relative to the importing file; a snippet must be defined above its first import"
            }
            Self::Placeholder { .. } => {
                "write the values in their place, or give them as node-cache gets them: `-localip IP,IP`, `-upstreamsvc SERVICE`, \
                 or the variable PILLAR_DNS_DOMAIN for __PILLAR__DNS__DOMAIN__ and so on"
            }
            Self::Duration { .. } => "write a number with its unit: `250ms`, `5s`, `1m30s`, `1h`",
            _ => return None,
        })
    }
}
