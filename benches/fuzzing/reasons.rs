//! What of a program's output says why it ended: libFuzzer's traces may be longer than anybody reads.

/// The lines of an output that say what was found, and in which file it is kept: of a panic its place and its message, of a
/// sanitizer and of libFuzzer the errors and the summary.
pub(crate) fn reasons(text: &str) -> Vec<&str> {
    const MARKS: [&str; 3] = ["ERROR: ", "SUMMARY: ", "Test unit written to "];
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.contains("panicked at ") {
            found.push(line);
            // The message stands below its place.
            found.extend(lines.next());
        } else if MARKS.iter().any(|mark| line.contains(mark)) {
            found.push(line);
        }
    }
    found
}
