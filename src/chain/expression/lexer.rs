//! An expression cut into pieces.

use super::syntax::Fault;

/// What a piece is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// A whole number.
    Number(i64),
    /// A text in quotes.
    Text(String),
    /// A word: a name of a function, or an operator that is a word.
    Word(String),
    /// A sign.
    Sign(&'static str),
    /// The end.
    End,
}

impl Piece {
    /// As messages show it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Number(number) => format!("`{number}`"),
            Self::Text(text) => format!("`'{text}'`"),
            Self::Word(word) => format!("`{word}`"),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// The signs, longer ones before those that they begin with.
const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "..", "!", "<", ">", "(", ")", "[", "]", ",", "+", "-", "*", "%",
    "?", ":", "#",
];

/// Signs of the language that are not served, and what to do instead.
const OTHER_SIGNS: &[(char, &str)] = &[
    ('/', "only whole numbers are known here, which `%` divides"),
    ('^', "only `+`, `-`, `*` and `%` are known here"),
    ('|', "write `||` for \"or\", and a function as `name(argument)`"),
    ('&', "write `&&` for \"and\""),
    ('=', "write `==`"),
    ('.', "numbers are whole, and nothing here has members"),
    ('{', "maps are not known here, and the condition of `any` stands without braces: `any([1, 2], # > 1)`"),
];

/// Cuts a text into pieces with the places where they begin; the last one is `End`.
pub(super) fn pieces(text: &str) -> Result<Vec<(usize, Piece)>, Fault> {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let at = text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            pieces.push((at, Piece::End));
            return Ok(pieces);
        };
        let (piece, after) = match first {
            '\'' | '"' => quoted(rest, first, at)?,
            '`' => {
                let inside = rest.get(1..).unwrap_or_default();
                let (raw, after) = inside.split_once('`').ok_or_else(|| open(at))?;
                (Piece::Text(raw.to_owned()), after)
            }
            '0'..='9' => number(rest, at)?,
            'a'..='z' | 'A'..='Z' | '_' | '$' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$');
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                (Piece::Word(word.to_owned()), after)
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign)).ok_or_else(|| {
                    let fault = Fault::new(at, format!("`{first}` has no meaning here"));
                    match OTHER_SIGNS.iter().find(|(sign, _)| *sign == first) {
                        Some((_, instead)) => fault.hint(*instead),
                        None => fault,
                    }
                })?;
                (Piece::Sign(sign), rest.get(sign.len()..).unwrap_or_default())
            }
        };
        pieces.push((at, piece));
        rest = after;
    }
}

/// A quote that is not closed.
fn open(at: usize) -> Fault {
    Fault::new(at, "a text in quotes does not end".to_owned())
}

/// Reads a text in quotes.
fn quoted(text: &str, quote: char, at: usize) -> Result<(Piece, &str), Fault> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((place, c)) = chars.next() {
        if c == quote {
            return Ok((Piece::Text(out), text.get(place + 1..).unwrap_or_default()));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let (_, escaped) = chars.next().ok_or_else(|| open(at))?;
        let digits = match escaped {
            'n' => {
                out.push('\n');
                continue;
            }
            't' => {
                out.push('\t');
                continue;
            }
            'r' => {
                out.push('\r');
                continue;
            }
            '\\' | '\'' | '"' | '`' => {
                out.push(escaped);
                continue;
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => {
                return Err(Fault::new(at + place, format!("`\\{escaped}` stands for nothing"))
                    .hint("a backslash in a text is written twice: `'\\\\.example\\\\.'`"));
            }
        };
        let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
        let value = u32::from_str_radix(&code, 16).ok().filter(|_| code.len() == digits);
        let value = value
            .and_then(char::from_u32)
            .ok_or_else(|| Fault::new(at + place, format!("`\\{escaped}{code}` stands for no character")))?;
        out.push(value);
    }
    Err(open(at))
}

/// Reads a whole number.
fn number(text: &str, at: usize) -> Result<(Piece, &str), Fault> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (written, after) = text.split_at(end);
    let plain = written.replace('_', "");
    let (digits, radix) = match plain.get(..2) {
        Some("0x" | "0X") => (plain.get(2..), 16),
        Some("0o" | "0O") => (plain.get(2..), 8),
        Some("0b" | "0B") => (plain.get(2..), 2),
        _ => (Some(plain.as_str()), 10),
    };
    let value = digits.and_then(|digits| i64::from_str_radix(digits, radix).ok());
    let fraction = after.starts_with('.') && !after.starts_with("..");
    match value.filter(|_| !fraction) {
        Some(value) => Ok((Piece::Number(value), after)),
        None => Err(Fault::new(at, format!("`{written}` does not begin a whole number"))
            .hint("texts stand in quotes: `'10.0.0.0/8'`")),
    }
}
