//! A digest of the chart and of the values that it is rendered with: whether golden files are of today.

use std::path::{Path, PathBuf};

/// Where the digest stands that the golden files belong to.
pub(crate) const KEPT: &str = "tests/chart/golden/digest";

/// The SHA-256 of names and texts of all files, in hexadecimal.
pub(crate) fn of_the_chart() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["charts/signpost", "tests/chart/values"] {
        list(&root.join(folder), &mut files);
    }
    files.sort();
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for file in files {
        let name = file.strip_prefix(root).expect("it lies below the root").to_string_lossy().into_owned();
        let text = std::fs::read(&file).expect("a file of the chart can be read");
        for part in [name.as_bytes(), &text] {
            context.update(&u64::try_from(part.len()).expect("a length").to_be_bytes());
            context.update(part);
        }
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds all files below a folder.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the chart can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}
