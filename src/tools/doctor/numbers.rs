//! The text of `/metrics`, read back.

use std::collections::BTreeMap;

/// One number.
struct Sample {
    /// Its family.
    family: String,
    /// Its labels.
    labels: BTreeMap<String, String>,
    /// The number.
    value: f64,
}

/// All numbers of a server.
pub(super) struct Numbers(Vec<Sample>);

impl Numbers {
    /// Reads the text; lines that are none are passed over.
    pub(super) fn read(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// The numbers of a family: the value of `label` and the number, labels that have all of `with` alone.
    pub(super) fn by(&self, family: &str, label: &str, with: &[(&str, &str)]) -> Vec<(String, f64)> {
        let mut found: BTreeMap<String, f64> = BTreeMap::new();
        for sample in self.0.iter().filter(|sample| sample.family == family && sample.has(with)) {
            *found.entry(sample.labels.get(label).cloned().unwrap_or_default()).or_default() += sample.value;
        }
        found.into_iter().collect()
    }

    /// The sum of a family, labels that have all of `with` alone; `None` where there is no such number.
    pub(super) fn sum(&self, family: &str, with: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.0.iter().filter(|sample| sample.family == family && sample.has(with)).peekable();
        found.peek()?;
        Some(found.map(|sample| sample.value).sum())
    }
}

impl Sample {
    /// Whether it has these labels.
    fn has(&self, with: &[(&str, &str)]) -> bool {
        with.iter().all(|(name, value)| self.labels.get(*name).is_some_and(|known| known == value))
    }
}

/// Reads a line: `family{label="value",…} number`.
fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (head, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((family, labels)) = head.split_once('{') else {
        return Some(Sample { family: head.to_owned(), labels: BTreeMap::new(), value });
    };
    let mut found = BTreeMap::new();
    let mut rest = labels.strip_suffix('}')?;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut text = String::new();
        let mut end = None;
        let mut chars = after.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                c => text.push(c),
            }
        }
        found.insert(name.trim_start_matches(',').to_owned(), text);
        rest = after.get(end?..)?;
    }
    Some(Sample { family: family.to_owned(), labels: found, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_labels_and_escapes_are_read_back() {
        let numbers = Numbers::read(
            "# HELP a of a\na{x=\"1,\\\"}\",y=\"2\"} 3\na{x=\"4\",y=\"2\"} 0.5\nb 7\nnonsense\nc{x=\"1} 2\n",
        );
        assert_eq!(numbers.by("a", "x", &[("y", "2")]), [("1,\"}".to_owned(), 3.0), ("4".to_owned(), 0.5)]);
        assert_eq!(numbers.sum("a", &[]), Some(3.5));
        assert_eq!(numbers.sum("b", &[]), Some(7.0));
        assert_eq!(numbers.sum("c", &[]), None);
        assert_eq!(numbers.sum("a", &[("x", "9")]), None);
    }
}
