//! docs/reliability.md, checked: every row is there, and every test, file and row of the battery that it names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the project lies.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The series of rows, and how many each has.
const SERIES: [(&str, usize); 4] = [("W", 70), ("A", 17), ("P", 12), ("L", 9)];

/// Rows between those of a series.
const BETWEEN: [&str; 3] = ["A4b", "A5b", "P5b"];

/// A line of the table.
struct Row {
    /// Its cells: row, what must hold, how it is proved, ours, CoreDNS, command.
    cells: Vec<String>,
}

impl Row {
    /// What stands between backticks in a cell.
    fn quoted(&self, cell: usize) -> Vec<&str> {
        self.cells[cell].split('`').skip(1).step_by(2).collect()
    }
}

/// The lines of the table.
fn table() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/reliability.md")).expect("the page can be read");
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = lines.map(|line| Row { cells: line.split(" | ").map(str::to_owned).collect() });
    let rows: Vec<Row> = rows.filter(|row| row.cells[0] != "Row").collect();
    for row in &rows {
        assert_eq!(row.cells.len(), 6, "{:?}", row.cells);
    }
    rows
}

/// The files of a folder and below with this ending.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
}

/// The texts of all files with this ending in some folders.
fn texts(folders: &[&str], ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        files(&root().join(folder), ending, &mut found);
    }
    found.iter().map(|path| fs::read_to_string(path).expect("a source can be read")).collect()
}

/// The names of all tests: functions behind an attribute `test`, also where a macro or another attribute stands between.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in texts(&["src", "tests"], "rs") {
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let attribute = line.starts_with("#[");
            is_test |= attribute && (line.ends_with("test]") || line.contains("::test("));
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let Some((name, _)) = name.and_then(|rest| rest.split_once('('))
                && is_test
            {
                names.insert(name.to_owned());
            }
            is_test &= attribute || line.is_empty() || line.starts_with("//");
        }
    }
    names
}

/// The rows of the battery.
fn battery() -> BTreeSet<String> {
    let texts = texts(&["benches/battery"], "rs");
    let ids = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.trim().strip_prefix("id: \"").and_then(|rest| rest.strip_suffix("\",")));
    ids.map(str::to_owned).collect()
}

#[test]
fn every_row_is_there_once_and_in_order() {
    let mut want: Vec<String> =
        SERIES.iter().flat_map(|(letter, count)| (1..=*count).map(move |n| format!("{letter}{n}"))).collect();
    for between in BETWEEN {
        let before = between.trim_end_matches(char::is_alphabetic);
        let at = want.iter().position(|row| row == before).expect("its row");
        want.insert(at + 1, between.to_owned());
    }
    let got: Vec<String> = table().into_iter().map(|row| row.cells[0].clone()).collect();
    assert_eq!(got, want);
}

#[test]
fn everything_that_a_row_names_exists() {
    let (tests, battery) = (tests(), battery());
    assert!(tests.len() > 500 && battery.len() > 20, "{} tests, {} rows", tests.len(), battery.len());
    let mut wrong = Vec::new();
    for row in table() {
        let named = row.quoted(2);
        if named.is_empty() {
            wrong.push(format!("{}: nothing proves it", row.cells[0]));
        }
        for name in named {
            let exists = if let Some(ids) = name.strip_prefix("cargo battery --rows ") {
                ids.split(',').all(|id| battery.contains(id))
            } else if name.ends_with(".dns") {
                root().join("tests/scenarios").join(name).is_file()
            } else {
                tests.contains(name)
            };
            if !exists {
                wrong.push(format!("{}: `{name}` does not exist", row.cells[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_row_of_the_battery_is_on_the_page() {
    let table = table();
    let named: BTreeSet<&str> = table
        .iter()
        .flat_map(|row| row.quoted(2))
        .filter_map(|name| name.strip_prefix("cargo battery --rows "))
        .flat_map(|ids| ids.split(','))
        .collect();
    let missing: Vec<String> = battery().into_iter().filter(|id| !named.contains(id.as_str())).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_command_can_be_run() {
    let tests = tests();
    for row in table() {
        let commands = row.quoted(5);
        let [command] = commands.as_slice() else { panic!("{}: one command: {commands:?}", row.cells[0]) };
        let mut words = command.split(' ').skip(1);
        match words.next() {
            Some("battery") => assert!(row.cells[2].contains(command), "{}: {command}", row.cells[0]),
            Some("test") => {
                let rest: Vec<&str> = words.collect();
                let filter = match rest.as_slice() {
                    ["--test", target, filter] => {
                        let file = root().join("tests").join(format!("{target}.rs"));
                        assert!(file.is_file(), "{}: {command}", row.cells[0]);
                        Some(*filter)
                    }
                    ["--lib", filter] | [filter] if *filter != "--lib" => Some(*filter),
                    ["--lib"] => None,
                    other => panic!("{}: {other:?}", row.cells[0]),
                };
                // A filter is a part of a test's name, or of a module's.
                let names = row.quoted(2);
                if let Some(filter) = filter {
                    let of_a_test = tests.iter().any(|name| name.contains(filter));
                    let of_a_module = ["messages", "lines", "server::tests"].contains(&filter);
                    assert!(
                        of_a_test || of_a_module,
                        "{}: {filter} selects nothing: {names:?}",
                        row.cells[0]
                    );
                }
            }
            other => panic!("{}: {other:?}", row.cells[0]),
        }
    }
}
