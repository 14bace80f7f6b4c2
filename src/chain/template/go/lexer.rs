//! Text and actions, and the words of an action.

/// A piece of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// Text as it is.
    Text(String),
    /// What stands between `{{` and `}}`.
    Action(Vec<Word>),
}

/// A word of an action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// `name`, a function or a key word.
    Name(String),
    /// `.name`; `glued` to what stands before it.
    Field {
        /// Without the dot.
        name: String,
        /// Whether no space stands before it.
        glued: bool,
    },
    /// `.` alone.
    Dot,
    /// `$name`, the dollar left out.
    Variable(String),
    /// A text.
    Text(String),
    /// A whole number.
    Number(i128),
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// White space that a trim marker takes away.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template into its pieces.
///
/// Errors: in words.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some((before, action)) = rest.split_once("{{") {
        let mut before = if trim { before.trim_start_matches(SPACE) } else { before };
        let mut action = action;
        if let Some(behind) = action.strip_prefix('-').filter(|behind| behind.starts_with(SPACE)) {
            before = before.trim_end_matches(SPACE);
            action = behind;
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let words = match action.trim_start_matches(SPACE).strip_prefix("/*") {
            Some(comment) => {
                let (_, behind) = comment.split_once("*/").ok_or("a comment does not end")?;
                (rest, trim) = end(behind.trim_start_matches(SPACE))
                    .or_else(|| end(behind))
                    .ok_or("a comment must be all that stands between `{{` and `}}`")?;
                continue;
            }
            None => {
                let (words, behind) = words(action)?;
                (rest, trim) = behind;
                words
            }
        };
        pieces.push(Piece::Action(words));
    }
    let rest = if trim { rest.trim_start_matches(SPACE) } else { rest };
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// What stands behind the end of an action that begins a text, and whether the end trims.
fn end(text: &str) -> Option<(&str, bool)> {
    if let Some(behind) = text.strip_prefix("}}") {
        return Some((behind, false));
    }
    Some((text.strip_prefix("-}}")?, true))
}

/// Reads the words of an action up to its end.
#[allow(clippy::type_complexity, reason = "the pair is what `end` gives")]
fn words(action: &str) -> Result<(Vec<Word>, (&str, bool)), String> {
    let mut words = Vec::new();
    let mut rest = action;
    loop {
        let spaced = rest.trim_start_matches(SPACE);
        let glued = spaced.len() == rest.len();
        rest = spaced;
        // A trim marker stands behind a space.
        let ends = end(rest).filter(|(_, trims)| !trims || !glued);
        if let Some(ends) = ends {
            return Ok((words, ends));
        }
        let Some(first) = rest.chars().next() else { return Err("an action has no `}}`".to_owned()) };
        let one = |word: Word, rest: &mut &str| {
            *rest = rest.get(first.len_utf8()..).unwrap_or_default();
            word
        };
        let word = match first {
            '|' => one(Word::Pipe, &mut rest),
            '(' => one(Word::Open, &mut rest),
            ')' => one(Word::Close, &mut rest),
            ',' => one(Word::Comma, &mut rest),
            '=' => one(Word::Assign, &mut rest),
            ':' if rest.starts_with(":=") => {
                rest = rest.get(2..).unwrap_or_default();
                Word::Declare
            }
            '"' => Word::Text(quoted(&mut rest, '"')?),
            '\'' => {
                let text = quoted(&mut rest, '\'')?;
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(only), None) => Word::Number(i128::from(u32::from(only))),
                    _ => return Err(format!("`'{text}'` is not one character")),
                }
            }
            '`' => {
                let inner = rest.strip_prefix('`').unwrap_or_default();
                let (text, behind) = inner.split_once('`').ok_or("a text in back quotes does not end")?;
                rest = behind;
                Word::Text(text.to_owned())
            }
            '.' => {
                let (name, behind) = name(rest.strip_prefix('.').unwrap_or_default());
                rest = behind;
                match name {
                    "" if behind.starts_with(|c: char| c.is_ascii_digit()) => {
                        return Err("numbers with a fraction are not supported".to_owned());
                    }
                    "" => Word::Dot,
                    name => Word::Field { name: name.to_owned(), glued: glued && !words.is_empty() },
                }
            }
            '$' => {
                let (name, behind) = name(rest.strip_prefix('$').unwrap_or_default());
                rest = behind;
                Word::Variable(name.to_owned())
            }
            '0'..='9' | '+' | '-' => Word::Number(number(&mut rest)?),
            c if c == '_' || c.is_alphabetic() => {
                let (name, behind) = name(rest);
                rest = behind;
                Word::Name(name.to_owned())
            }
            other => return Err(format!("`{}` cannot stand in an action", other.escape_debug())),
        };
        words.push(word);
    }
}

/// Cuts a name off.
fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Reads a whole number as Go writes it: decimal, `0x1f`, `0b1`, `0o7`, `07`, `1_000`.
fn number(rest: &mut &str) -> Result<i128, String> {
    let signed = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let negative = rest.starts_with('-');
    let end = signed.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    let (word, behind) = signed.split_at_checked(end.unwrap_or(signed.len())).unwrap_or((signed, ""));
    let digits = word.replace('_', "").to_ascii_lowercase();
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, digits.get(2..)),
        Some("0b") => (2, digits.get(2..)),
        Some("0o") => (8, digits.get(2..)),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits.get(1..)),
        _ => (10, Some(digits.as_str())),
    };
    let value = digits
        .filter(|digits| !digits.starts_with(['+', '-']))
        .and_then(|digits| u64::from_str_radix(digits, radix).ok());
    let value = value.ok_or_else(|| match word.contains('.') {
        true => "numbers with a fraction are not supported".to_owned(),
        false => format!("`{word}` is no number"),
    })?;
    *rest = behind;
    Ok(if negative { -i128::from(value) } else { value.into() })
}

/// Reads a text in quotes with Go's escapes.
fn quoted(rest: &mut &str, quote: char) -> Result<String, String> {
    let unended = || "a text in quotes does not end".to_owned();
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    loop {
        let (at, c) = chars.next().ok_or_else(unended)?;
        match c {
            c if c == quote => {
                *rest = rest.get(at + 1..).unwrap_or_default();
                return Ok(text);
            }
            '\n' => return Err(unended()),
            '\\' => {
                let (_, escape) = chars.next().ok_or_else(unended)?;
                let mut code = |digits: usize, radix: u32, first: Option<char>| {
                    let mut value = first.map_or(Some(0), |first| first.to_digit(radix))?;
                    for _ in 0..digits {
                        let (_, digit) = chars.next()?;
                        value = value.checked_mul(radix)?.checked_add(digit.to_digit(radix)?)?;
                    }
                    char::from_u32(value)
                };
                let made = match escape {
                    'a' => Some('\x07'),
                    'b' => Some('\x08'),
                    'f' => Some('\x0c'),
                    'n' => Some('\n'),
                    'r' => Some('\r'),
                    't' => Some('\t'),
                    'v' => Some('\x0b'),
                    '\\' => Some('\\'),
                    '\'' | '"' if escape == quote => Some(escape),
                    'x' => code(2, 16, None).filter(char::is_ascii),
                    'u' => code(4, 16, None),
                    'U' => code(8, 16, None),
                    digit @ '0'..='7' => code(2, 8, Some(digit)).filter(char::is_ascii),
                    _ => None,
                };
                text.push(made.ok_or_else(|| format!("`\\{}` is no escape", escape.escape_debug()))?);
            }
            c => text.push(c),
        }
    }
}
