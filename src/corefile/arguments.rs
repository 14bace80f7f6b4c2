//! What every directive does with its tokens: count, measure, and complain at the right place.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::error::{Error, Problem};
use super::spec::{Directive, Key, Token};
use super::zone::{self, Zone};

impl Token {
    /// A complaint at this token.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> Error {
        self.fault(Problem::Directive { problem: message.into() })
    }

    /// A complaint that this word is not `what` ("a directive"), with the nearest of the words there are.
    #[must_use]
    pub fn unknown(&self, what: &'static str, known: &[&str]) -> Error {
        let error = self.fault(Problem::Unknown { text: self.text.clone(), what });
        match (nearest(&self.text, known.iter().copied()), known.len()) {
            (Some(word), _) => error.hint(format!("did you mean `{word}`?")),
            (None, 1..=12) => error.hint(format!("known here: {}", known.join(", "))),
            (None, _) => error,
        }
    }

    /// A duration as Go writes it: `5s`, `1m30s`, `250ms`, `1.5h`, or `0`.
    ///
    /// Unit: ns, us, µs, ms, s, m, h; resolution 1 ns, at most about 292 years.
    ///
    /// Errors: `Duration`, also for a negative one.
    /// Source: Go `time.ParseDuration`.
    pub fn duration(&self) -> Result<Duration, Error> {
        duration(&self.text).ok_or_else(|| {
            let error = self.fault(Problem::Duration { text: self.text.clone() });
            let bare = !self.text.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_digit());
            if bare {
                error.hint(format!("the unit is missing: write `{}s` for seconds", self.text))
            } else {
                error
            }
        })
    }

    /// A decimal number within `range`.
    ///
    /// Errors: `Number`.
    pub fn number<T>(&self, range: RangeInclusive<T>) -> Result<T, Error>
    where
        T: FromStr + PartialOrd + Display,
    {
        let (min, max) = (range.start().to_string(), range.end().to_string());
        self.text
            .parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.fault(Problem::Number { text: self.text.clone(), min, max }))
    }

    /// The zones of a name or CIDR.
    ///
    /// Errors: `Zone`.
    pub fn zones(&self) -> Result<Vec<Zone>, Error> {
        zone::zones(&self.text).map_err(|fault| self.fault(Problem::Zone { text: self.text.clone(), fault }))
    }

    /// The error at this token.
    fn fault(&self, problem: Problem) -> Error {
        Error::new(self.at.clone(), problem)
    }
}

impl Key {
    /// A complaint about this key.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::new(self.at.clone(), Problem::Directive { problem: message.into() })
    }
}

impl Directive {
    /// A complaint about the whole line, at its word; names the word.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> Error {
        self.word.error(message).within(self)
    }

    /// The arguments, if there are as many as `count` allows; `usize::MAX` for any number.
    ///
    /// Errors: `ArgumentCount`, at the first argument too many, else at the word.
    pub fn expect_args(&self, count: RangeInclusive<usize>) -> Result<&[Token], Error> {
        if count.contains(&self.args.len()) {
            return Ok(&self.args);
        }
        let at = self.args.get(*count.end()).unwrap_or(&self.word);
        let word = self.word.text.clone();
        Err(at.fault(Problem::ArgumentCount { word, expected: counted(&count), found: self.args.len() }))
    }

    /// The one argument of the line.
    ///
    /// Errors: `ArgumentCount`.
    pub fn only_arg(&self) -> Result<&Token, Error> {
        self.expect_args(1..=1)
            .and_then(|args| args.first().ok_or_else(|| self.error("an argument is missing")))
    }

    /// The zones of all arguments from index `from` on, in order; empty where there are none.
    ///
    /// Errors: `Zone`.
    pub fn zones_from(&self, from: usize) -> Result<Vec<Zone>, Error> {
        let mut zones = Vec::new();
        for arg in self.args.iter().skip(from) {
            zones.extend(arg.zones()?);
        }
        Ok(zones)
    }

    /// Checks that the line has no braces.
    ///
    /// Errors: `NoBlock`, at the first line inside, or at the word.
    pub fn no_block(&self) -> Result<(), Error> {
        match &self.block {
            None => Ok(()),
            Some(lines) => {
                let at = lines.first().map_or(&self.word, |line| &line.word);
                Err(at.fault(Problem::NoBlock { word: self.word.text.clone() }))
            }
        }
    }

    /// The lines in braces; none where there are no braces.
    #[must_use]
    pub fn lines(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// A range of argument counts in words.
fn counted(count: &RangeInclusive<usize>) -> String {
    let plural = |number: &usize| if *number == 1 { "argument" } else { "arguments" };
    match (count.start(), count.end()) {
        (_, 0) => "no arguments".to_owned(),
        (min, max) if min == max => format!("{min} {}", plural(min)),
        (0, &usize::MAX) => "any number of arguments".to_owned(),
        (min, &usize::MAX) => format!("at least {min} {}", plural(min)),
        (0, max) => format!("at most {max} {}", plural(max)),
        (min, max) => format!("{min} to {max} arguments"),
    }
}

/// Reads a duration as Go writes it; `None` if it is none, negative or too long.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total: u128 = 0;
    let mut any = false;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let scale = nanoseconds(unit)?;
        let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
        total = total.checked_add(u128::from(whole).checked_mul(scale)?)?;
        // Nineteen digits of a fraction are finer than any unit can tell.
        let fraction: String = fraction.chars().take(18).collect();
        if !fraction.is_empty() {
            let places = u32::try_from(fraction.len()).ok()?;
            let part = u128::from(fraction.parse::<u64>().ok()?).checked_mul(scale)?;
            total = total.checked_add(part / 10_u128.checked_pow(places)?)?;
        }
        if total > u128::from(i64::MAX.unsigned_abs()) {
            return None;
        }
        any = true;
        rest = after;
    }
    let nanos = u64::try_from(total).ok()?;
    any.then(|| Duration::from_nanos(nanos))
}

/// Cuts the digits off the front.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Nanoseconds of a unit.
fn nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// The candidate that differs least from `word`, if it differs little.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if !(2..=32).contains(&length) {
        return None;
    }
    let allowed = length.div_ceil(3).min(3);
    candidates
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters to insert, remove or replace to make `b` of `a`.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (y, &above) in b.chars().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(x != y));
            left = replaced.min(above.saturating_add(1)).min(left.saturating_add(1));
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
