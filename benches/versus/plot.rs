//! The picture of a run: how many times the echo's processor time each server takes, work by work.

use std::fmt::Write as _;

/// A bar of the picture.
pub(crate) struct Bar {
    /// Whose it is.
    pub(crate) name: &'static str,
    /// How many times the echo's time.
    pub(crate) ratio: f64,
    /// Whether it is this server's.
    pub(crate) ours: bool,
}

/// The bars of one kind of work.
pub(crate) struct Group {
    /// What was asked.
    pub(crate) work: &'static str,
    /// The servers.
    pub(crate) bars: Vec<Bar>,
    /// What ours may be at most, where that is said.
    pub(crate) limit: Option<f64>,
}

/// Left of the bars. Unit: pixels, as all below.
const LEFT: f64 = 180.0;

/// The room for bars.
const WIDE: f64 = 520.0;

/// Height of a bar with the gap below it.
const LINE: f64 = 17.0;

/// Height of a group's title with the gap above it.
const TITLE: f64 = 28.0;

/// Where a ratio stands: the axis is logarithmic, from 1 to 100.
fn place(ratio: f64) -> f64 {
    LEFT + WIDE * ratio.clamp(1.0, 100.0).log10() / 2.0
}

/// The picture, as SVG. Shape: text and rectangles, no script, no font of its own.
pub(crate) fn draw(title: &str, groups: &[Group]) -> String {
    let lines: usize = groups.iter().map(|group| group.bars.len()).sum();
    let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let height = 60.0 + TITLE * count(groups.len()) + LINE * count(lines) + 20.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"780\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\" fill=\"#1f2933\">{title}</text>\n"
    );
    // Writing into a String cannot fail.
    for tick in [1.0, 1.5, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0] {
        let x = place(tick);
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"50\" x2=\"{x:.1}\" y2=\"{:.0}\" stroke=\"#d9dee3\"/>\
             <text x=\"{x:.1}\" y=\"45\" text-anchor=\"middle\" fill=\"#7b8794\">{tick}×</text>",
            height - 12.0
        );
    }
    let mut y = 54.0;
    for group in groups {
        y += TITLE;
        let _ = writeln!(
            text,
            "<text x=\"12\" y=\"{:.0}\" font-weight=\"bold\" fill=\"#1f2933\">{}</text>",
            y - 8.0,
            group.work
        );
        for bar in &group.bars {
            let fill = if bar.ours { "#0b7285" } else { "#adb5bd" };
            let end = place(bar.ratio);
            let _ = writeln!(
                text,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" fill=\"#1f2933\">{}</text>\
                 <rect x=\"{LEFT}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"13\" fill=\"{fill}\"/>\
                 <text x=\"{:.1}\" y=\"{:.0}\" fill=\"#1f2933\">{:.2}</text>",
                LEFT - 8.0,
                y + 11.0,
                bar.name,
                (end - LEFT).max(1.0),
                end + 6.0,
                y + 11.0,
                bar.ratio
            );
            if let Some(limit) = group.limit.filter(|_| bar.ours) {
                let x = place(limit);
                let _ = writeln!(
                    text,
                    "<line x1=\"{x:.1}\" y1=\"{:.0}\" x2=\"{x:.1}\" y2=\"{:.0}\" stroke=\"#e03131\" stroke-width=\"2\"/>",
                    y - 2.0,
                    y + 15.0
                );
            }
            y += LINE;
        }
    }
    text.push_str("</svg>\n");
    text
}
