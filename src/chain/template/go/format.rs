//! The formats of `printf`: `%s`, `%d` and their kin.

use super::value::{Kind, Value};

/// The widest a value is made. Unit: characters.
const WIDEST: usize = 1024;

/// A piece of a format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    /// Text as it is.
    Text(String),
    /// The next value.
    Value {
        /// Its letter.
        letter: char,
        /// `-`: blanks behind it, not before.
        left: bool,
        /// `0`: zeros before a number, not blanks.
        zeros: bool,
        /// `+`: a sign before every number.
        sign: bool,
        /// `#`: `0x` before hexadecimal numbers.
        prefix: bool,
        /// The least width. Unit: characters.
        width: usize,
        /// The most characters of a text, the least digits of a number.
        precision: Option<usize>,
    },
}

/// Reads a format for values of these kinds.
///
/// Errors: in words. Source: Go `fmt`.
pub(super) fn parse(format: &str, kinds: &[Kind]) -> Result<Vec<Verb>, String> {
    let mut verbs = Vec::new();
    let mut kinds = kinds.iter();
    let mut rest = format;
    while let Some((before, behind)) = rest.split_once('%') {
        if !before.is_empty() {
            verbs.push(Verb::Text(before.to_owned()));
        }
        if let Some(behind) = behind.strip_prefix('%') {
            verbs.push(Verb::Text("%".to_owned()));
            rest = behind;
            continue;
        }
        let flags_end = behind.find(|c| !"-0+# ".contains(c)).unwrap_or(behind.len());
        let (flags, behind) = behind.split_at_checked(flags_end).unwrap_or((behind, ""));
        let (width, behind) = digits(behind)?;
        let (precision, behind) = match behind.strip_prefix('.') {
            Some(behind) => {
                let (precision, behind) = digits(behind)?;
                (Some(precision.unwrap_or(0)), behind)
            }
            None => (None, behind),
        };
        let letter = behind.chars().next().ok_or("a `%` of `printf` has no letter")?;
        let kind = *kinds.next().ok_or_else(|| format!("`printf` has no value for `%{letter}`"))?;
        let fits = match letter {
            'v' => kind.prints(),
            's' | 'q' => kind == Kind::Text,
            'x' | 'X' => matches!(kind, Kind::Text | Kind::Number),
            'd' | 'b' | 'o' | 'c' => kind == Kind::Number,
            't' => kind == Kind::Truth,
            other => return Err(format!("`%{}` of `printf` is not supported", other.escape_debug())),
        };
        if !fits {
            return Err(format!("`%{letter}` of `printf` is not for {}", kind.text()));
        }
        verbs.push(Verb::Value {
            letter,
            left: flags.contains('-'),
            zeros: flags.contains('0') && !flags.contains('-'),
            sign: flags.contains('+'),
            prefix: flags.contains('#'),
            width: width.unwrap_or(0),
            precision,
        });
        rest = behind.get(letter.len_utf8()..).unwrap_or_default();
    }
    if kinds.next().is_some() {
        return Err("`printf` has more values than its format takes".to_owned());
    }
    if !rest.is_empty() {
        verbs.push(Verb::Text(rest.to_owned()));
    }
    Ok(verbs)
}

/// Cuts a number off.
fn digits(text: &str) -> Result<(Option<usize>, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or(("", text));
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(number) if number <= WIDEST => Ok((Some(number), rest)),
        _ => Err(format!("a width of `printf` is at most {WIDEST}")),
    }
}

/// Writes values as a format says.
pub(super) fn write(verbs: &[Verb], values: &[Value<'_>], out: &mut String) {
    let mut values = values.iter();
    for verb in verbs {
        match verb {
            Verb::Text(text) => out.push_str(text),
            Verb::Value { letter, left, zeros, sign, prefix, width, precision } => {
                let Some(value) = values.next() else { return };
                let (front, body, number) = match value {
                    Value::Number(number) => {
                        let (front, body) = digits_of(*number, *letter, *sign, *prefix, *precision);
                        (front, body, *letter != 'c')
                    }
                    other => (String::new(), text_of(&other.print(), *letter, *precision), false),
                };
                let missing = width.saturating_sub(front.chars().count() + body.chars().count());
                let pad = |character: char| character.to_string().repeat(missing);
                let padded = match (left, *zeros && !(number && precision.is_some())) {
                    (true, _) => format!("{front}{body}{}", pad(' ')),
                    (false, true) => format!("{front}{}{body}", pad('0')),
                    (false, false) => format!("{}{front}{body}", pad(' ')),
                };
                out.push_str(&padded);
            }
        }
    }
}

/// A number by its letter: what stands before its digits, and these.
fn digits_of(
    number: i128,
    letter: char,
    sign: bool,
    prefix: bool,
    precision: Option<usize>,
) -> (String, String) {
    let size = number.unsigned_abs();
    let digits = match letter {
        'b' => format!("{size:b}"),
        'o' => format!("{size:o}"),
        'x' => format!("{size:x}"),
        'X' => format!("{size:X}"),
        'c' => {
            let character = u32::try_from(number).ok().and_then(char::from_u32);
            return (String::new(), character.unwrap_or(char::REPLACEMENT_CHARACTER).to_string());
        }
        _ => size.to_string(),
    };
    let mut front = String::new();
    if number < 0 {
        front.push('-');
    } else if sign {
        front.push('+');
    }
    match letter {
        'x' if prefix => front.push_str("0x"),
        'X' if prefix => front.push_str("0X"),
        'b' if prefix => front.push_str("0b"),
        'o' if prefix => front.push('0'),
        _ => {}
    }
    let zeros = "0".repeat(precision.unwrap_or(0).saturating_sub(digits.len()));
    (front, zeros + &digits)
}

/// A text by its letter.
fn text_of(text: &str, letter: char, precision: Option<usize>) -> String {
    let cut: String = match precision {
        Some(most) => text.chars().take(most).collect(),
        None => text.to_owned(),
    };
    match letter {
        'q' => format!("{cut:?}"),
        'x' => cut.bytes().map(|byte| format!("{byte:02x}")).collect(),
        'X' => cut.bytes().map(|byte| format!("{byte:02X}")).collect(),
        _ => cut,
    }
}
