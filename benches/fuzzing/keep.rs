//! From what runs have left behind to the committed corpus: the inputs that reach most of what it did not reach.

use std::cmp::Reverse;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use signpost::fuzzing::Target;

use super::Places;

/// Puts at most `most` inputs into the committed corpus, under names that begin with `reached`; how many.
///
/// libFuzzer's merge goes through the committed inputs, then through the others from the shortest on, and writes down which
/// edges each is the first to reach.
pub(super) fn keep(places: &Places, target: &Target, most: usize) -> anyhow::Result<usize> {
    let (corpus, new) = (places.folder("corpus", target)?, places.folder("target/corpus", target)?);
    let known = places.folder("target/merged", target)?;
    fs::remove_dir_all(&known)?;
    fs::create_dir(&known)?;
    for entry in fs::read_dir(&corpus)? {
        let entry = entry?;
        fs::copy(entry.path(), known.join(entry.file_name()))?;
    }
    let notes = known.with_extension("merge");
    let _ = fs::remove_file(&notes);
    let program = places.programs.join(target.name);
    let output = Command::new(&program)
        .arg("-merge=1")
        .arg(format!("-merge_control_file={}", notes.display()))
        // An input that crashes is passed over, and written down beside those of runs.
        .arg(format!("-artifact_prefix={}/", places.folder("artifacts", target)?.display()))
        .arg(format!("-max_len={}", target.longest))
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .args([&known, &new])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", program.display()))?;
    if !output.status.success() {
        bail!("{}: {}\n{}", target.name, output.status, String::from_utf8_lossy(&output.stderr));
    }
    let notes = fs::read_to_string(&notes)?;
    let mut first = reaching(&notes).context("libFuzzer's notes of a merge")?;
    first.sort_by_key(|(_, edges)| Reverse(*edges));
    first.truncate(most);
    for (path, _) in &first {
        // Files are named by the hash of what is in them.
        let hash = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name: String = hash.chars().take(12).collect();
        fs::copy(path, corpus.join(format!("reached-{name}")))?;
    }
    Ok(first.len())
}

/// The inputs beyond the first folder that are the first to reach an edge, each with how many; `None` for other notes.
///
/// Shape: the number of files, how many of them are in the first folder, a path a line; then for each in turn lines with its
/// number, of which the one that begins with COV lists the edges.
fn reaching(notes: &str) -> Option<Vec<(&str, usize)>> {
    let mut lines = notes.lines();
    let count: usize = lines.next()?.parse().ok()?;
    let known: usize = lines.next()?.parse().ok()?;
    let paths: Vec<&str> = lines.by_ref().take(count).collect();
    let mut found = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        if words.next() != Some("COV") {
            continue;
        }
        let place: usize = words.next()?.parse().ok()?;
        let edges = words.count();
        if place >= known && edges > 0 {
            found.push((*paths.get(place)?, edges));
        }
    }
    Some(found)
}
