//! A page as lines for pipes, and as a picture for people.

use super::args::List;
use crate::observe::{Row, TopPage};

/// The size of a terminal.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Columns.
    pub(super) width: usize,
    /// Lines.
    pub(super) height: usize,
}

/// A list of a page: what it is called on the command line, what stands above it, and its rows.
type Panel<'a> = (List, &'static str, &'static str, &'a [Row]);

/// The lists of a page.
fn panels(page: &TopPage) -> [Panel<'_>; 6] {
    [
        (List::Clients, "clients", "CLIENTS", &page.clients),
        (List::Names, "names", "NAMES", &page.names),
        (List::Namespaces, "namespaces", "NAMESPACES ASKED FOR", &page.namespaces),
        (List::Nxdomain, "nxdomain", "NAMES THAT ARE NOT THERE", &page.nxdomain_names),
        (List::Slow, "slow", "SLOW NAMES", &page.slow_names),
        (List::Search, "search", "SEARCH LISTS IN VAIN, BY NAMESPACE", &page.search_namespaces),
    ]
}

/// The lists that are wanted.
fn wanted(page: &TopPage, list: Option<List>) -> Vec<Panel<'_>> {
    panels(page).into_iter().filter(|panel| list.is_none_or(|list| list == panel.0)).collect()
}

/// `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share in percent, with one place.
fn percent(part: u64, whole: u64) -> String {
    let tenths = part.saturating_mul(1000).checked_div(whole).unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// What the page says in sum, a line each.
fn sums(page: &TopPage) -> [String; 2] {
    let rate = page.queries.saturating_mul(10).checked_div(page.seconds.max(1)).unwrap_or(0);
    let of = |part| percent(part, page.queries);
    [
        format!(
            "{} queries in {} s, {}.{} a second",
            thousands(page.queries),
            page.seconds,
            thousands(rate / 10),
            rate % 10
        ),
        format!(
            "NXDOMAIN {}   SERVFAIL {}   search lists in vain {}   AAAA {}, empty {}   from {} ms on {}",
            of(page.nxdomain),
            of(page.failed),
            of(page.search),
            of(page.aaaa),
            of(page.aaaa_empty),
            page.slow_milliseconds,
            of(page.slow)
        ),
    ]
}

/// Lines for pipes: two about all of it that begin with `#`, then list, at least, at most, and who or what it is.
pub(super) fn lines(page: &TopPage, list: Option<List>) -> String {
    let mut out = String::new();
    for sum in sums(page) {
        out.push_str(&format!("# {sum}\n"));
    }
    for (_, name, _, rows) in wanted(page, list) {
        for row in rows {
            out.push_str(&format!("{name:<10} {:>9} {:>9}  {}\n", row.at_least, row.at_most, row.what));
        }
    }
    out
}

/// Eighths of a block.
const BLOCKS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A bar of at most so many columns for a part of `whole`, padded with blanks.
fn bar(part: u64, whole: u64, columns: usize) -> String {
    let most = 8 * columns;
    let eighths = part.saturating_mul(most as u64).checked_div(whole).unwrap_or(0);
    let eighths = usize::try_from(eighths).unwrap_or(most).clamp(1, most);
    let mut out = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8)
        && let Some(block) = BLOCKS.get(eighths % 8 - 1)
    {
        out.push(*block);
    }
    let drawn = out.chars().count();
    out + &" ".repeat(columns.saturating_sub(drawn))
}

/// A text in so many columns: cut in its middle, or padded.
fn fit(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text}{}", " ".repeat(width - length));
    }
    // The front of a name says which, its end says where; both are worth more than what stands between.
    let front = width.saturating_sub(1).div_ceil(2);
    let back = width.saturating_sub(1) - front;
    let (first, last): (String, String) =
        (text.chars().take(front).collect(), text.chars().skip(length - back).collect());
    format!("{first}…{last}")
}

/// Bold.
const BOLD: &str = "\x1b[1m";

/// The colour of bars.
const CYAN: &str = "\x1b[36m";

/// Of little weight.
const DIM: &str = "\x1b[2m";

/// As ever again.
const PLAIN: &str = "\x1b[0m";

/// A list in so many lines and columns.
fn panel((_, _, title, rows): &Panel<'_>, width: usize, height: usize) -> Vec<String> {
    let mut out = vec![format!("{BOLD}{}{PLAIN}", fit(title, width))];
    let most = rows.first().map_or(0, |row| row.at_least);
    // Names are long: they get what a bar can do without.
    let columns = (width / 8).clamp(4, 12);
    for row in rows.iter().take(height.saturating_sub(1)) {
        // What may be another's is not shown as certain.
        let sign = if row.at_most > row.at_least { "≥" } else { " " };
        let count = format!("{sign}{}", thousands(row.at_least));
        let what = fit(&row.what, width.saturating_sub(10 + 1 + columns + 1));
        out.push(format!("{count:>10} {CYAN}{}{PLAIN} {what}", bar(row.at_least, most, columns)));
    }
    if rows.is_empty() && height > 1 {
        out.push(format!("{DIM}{}{PLAIN}", fit("         – nothing yet", width)));
    }
    out.resize_with(height, || " ".repeat(width));
    out
}

/// The picture: at most so many lines, none longer than the terminal is wide.
pub(super) fn screen(page: &TopPage, list: Option<List>, fault: Option<&str>, size: Size) -> Vec<String> {
    let width = size.width.clamp(40, 240);
    let [first, second] = sums(page);
    let minutes = if page.minutes == 1 { "minute".to_owned() } else { format!("{} minutes", page.minutes) };
    let head = format!("signpost top   the last {minutes}   {first}");
    let mut out = vec![format!("{BOLD}{}{PLAIN}", fit(&head, width)), fit(&second, width)];
    if let Some(fault) = fault {
        out.push(fit(fault, width));
    }
    let shown = wanted(page, list);
    let columns = if width >= 100 && shown.len() > 1 { 2 } else { 1 };
    let rows = shown.len().div_ceil(columns);
    let room = size.height.saturating_sub(out.len());
    // An empty line above each list.
    let each = room.checked_div(rows).unwrap_or(0).saturating_sub(1);
    if each < 2 {
        out.push(fit("the terminal is too small: name one list, or use --once", width));
        out.truncate(size.height.max(1));
        return out;
    }
    let column = if columns == 2 { (width - 3) / 2 } else { width };
    for pair in shown.chunks(columns) {
        out.push(String::new());
        let drawn: Vec<Vec<String>> = pair.iter().map(|shown| panel(shown, column, each)).collect();
        for line in 0..each {
            let cells: Vec<&str> =
                drawn.iter().filter_map(|lines| lines.get(line)).map(String::as_str).collect();
            out.push(cells.join("   ").trim_end().to_owned());
        }
    }
    out
}
