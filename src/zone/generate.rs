//! `$GENERATE`: lines made of one line and a row of numbers.

use crate::wire::presentation::Token;

/// The most lines of one directive. Source: coredns (miekg/dns).
const MOST: u64 = 65_536;

/// The most lines of all directives of a zone, files that it includes among them (rule Z-01): what sixteen of the longest make.
pub(super) const MOST_IN_ALL: u64 = 16 * MOST;

/// The widest number that is padded. Source: coredns (miekg/dns).
const WIDEST: usize = 255;

/// The lines of a directive, made one after the other.
pub(super) struct Generated {
    /// The line with its places for numbers.
    template: String,
    /// The next number; `None` at the end.
    next: Option<u64>,
    /// The last number.
    stop: u64,
    /// The distance between numbers.
    step: u64,
}

/// Reads the directive: `START-STOP[/STEP] LINE`.
///
/// In the line `$` is the number, `${OFFSET[,WIDTH[,BASE]]}` the number moved, padded with zeros and in base d, o, x or X;
/// `$$` and `\$` are a dollar. Errors: in words. Source: the BIND 9 administrator reference, `$GENERATE`.
pub(super) fn generate(arguments: &[Token]) -> Result<Generated, String> {
    let Some((range, line)) = arguments.split_first().filter(|(_, line)| line.len() >= 3) else {
        return Err("$GENERATE needs a range, an owner, a type and data".to_owned());
    };
    let wrong = || format!("`{}` is no range as in 1-10 or 0-254/2", range.shown());
    let text = String::from_utf8_lossy(&range.text).into_owned();
    let (bounds, step) = text.split_once('/').unwrap_or((&text, "1"));
    let (start, stop) = bounds.split_once('-').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number <= u64::from(u32::MAX));
    let (start, stop, step) = (number(start), number(stop), number(step));
    let (Some(start), Some(stop), Some(step)) = (start, stop, step) else { return Err(wrong()) };
    if step == 0 || start > stop || (stop - start) / step >= MOST {
        return Err(wrong());
    }
    let mut template = String::new();
    for word in line {
        let text = String::from_utf8_lossy(&word.text);
        match word.quoted {
            true => template.extend(["\"", &text, "\" "]),
            false => template.extend([&text, " "]),
        }
    }
    Ok(Generated { template, next: Some(start), stop, step })
}

impl Generated {
    /// How many lines it makes, before the first is taken.
    pub(super) fn lines(&self) -> u64 {
        self.next.map_or(0, |start| (self.stop - start) / self.step + 1)
    }
}

impl Iterator for Generated {
    type Item = Result<String, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.next?;
        let next = number + self.step;
        self.next = (next <= self.stop).then_some(next);
        Some(fill(&self.template, number))
    }
}

/// The line with the number in its places.
fn fill(template: &str, number: u64) -> Result<String, String> {
    let mut line = String::with_capacity(template.len() + 8);
    let mut rest = template.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => match rest.next() {
                Some('$') => line.push('$'),
                Some(next) => line.extend(['\\', next]),
                None => line.push('\\'),
            },
            '$' if rest.peek() == Some(&'$') => {
                rest.next();
                line.push('$');
            }
            '$' if rest.peek() == Some(&'{') => {
                rest.next();
                let modifier: String = rest.by_ref().take_while(|letter| *letter != '}').collect();
                line.push_str(&modified(&modifier, number)?);
            }
            '$' => line.push_str(&number.to_string()),
            letter => line.push(letter),
        }
    }
    Ok(line)
}

/// The number as `OFFSET[,WIDTH[,BASE]]` has it.
fn modified(modifier: &str, number: u64) -> Result<String, String> {
    let wrong = || format!("`${{{modifier}}}` is not of the form ${{OFFSET,WIDTH,BASE}}");
    let mut parts = modifier.split(',').map(str::trim);
    let offset: i64 = parts.next().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    let width: usize = parts.next().map_or(Some(0), |text| text.parse().ok()).ok_or_else(wrong)?;
    let base = parts.next().unwrap_or("d");
    if parts.next().is_some() || width > WIDEST {
        return Err(wrong());
    }
    let moved = i64::try_from(number).ok().and_then(|number| number.checked_add(offset));
    let value = moved.and_then(|moved| u64::try_from(moved).ok()).ok_or_else(wrong)?;
    Ok(match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{value:0width$o}"),
        "x" => format!("{value:0width$x}"),
        "X" => format!("{value:0width$X}"),
        _ => return Err(wrong()),
    })
}
