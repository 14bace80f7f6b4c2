//! Patterns for file names: `*`, `?` and `[a-z]`.

/// Whether a path is a pattern and not a plain path.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// A pattern for one part of a path.
pub(super) struct Glob(Vec<Part>);

/// What one place of a pattern stands for.
enum Part {
    /// `*`: any number of characters.
    Many,
    /// `?`: one character.
    One,
    /// `[a-z]` or `[^a-z]`: one character from these ranges, or one that is in none.
    Class {
        /// Whether the ranges are excluded.
        not: bool,
        /// First and last character of each.
        ranges: Vec<(char, char)>,
    },
    /// The character itself.
    Char(char),
}

impl Part {
    /// Whether this part stands for the character; `Many` is handled apart.
    fn is(&self, c: char) -> bool {
        match self {
            Self::Many => false,
            Self::One => true,
            Self::Class { not, ranges } => ranges.iter().any(|&(from, to)| (from..=to).contains(&c)) != *not,
            Self::Char(own) => *own == c,
        }
    }
}

impl Glob {
    /// Reads a pattern; `None` if a `[` has no `]`. A backslash takes the next character as it is.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let mut chars = pattern.chars().peekable();
        let mut parts = Vec::new();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Many,
                '?' => Part::One,
                '\\' => Part::Char(chars.next()?),
                '[' => {
                    let not = chars.next_if(|&c| c == '^' || c == '!').is_some();
                    let mut ranges = Vec::new();
                    loop {
                        let from = match chars.next()? {
                            ']' if !ranges.is_empty() => break,
                            '\\' => chars.next()?,
                            c => c,
                        };
                        let to = if chars.next_if_eq(&'-').is_some() { chars.next()? } else { from };
                        ranges.push((from, to));
                    }
                    Part::Class { not, ranges }
                }
                c => Part::Char(c),
            });
        }
        Some(Self(parts))
    }

    /// Whether the whole name fits.
    ///
    /// Cost: at most the product of both lengths; only the last `*` is ever tried again.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0_usize, 0_usize);
        let mut star: Option<(usize, usize)> = None;
        while let Some(&c) = name.get(at) {
            match self.0.get(part) {
                Some(Part::Many) => {
                    star = Some((part, at));
                    part += 1;
                }
                Some(own) if own.is(c) => {
                    part += 1;
                    at += 1;
                }
                _ => match star {
                    Some((star_part, from)) => {
                        star = Some((star_part, from + 1));
                        (part, at) = (star_part + 1, from + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0.iter().skip(part).all(|rest| matches!(rest, Part::Many))
    }
}
