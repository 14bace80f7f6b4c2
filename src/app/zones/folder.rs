//! A folder of zone files: files come, change and go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Looked, WatchedFile};
use crate::chain::Folder;
use crate::wire::show_name;
use crate::zone::Held;

/// How deep folders are looked into.
const DEPTH: usize = 16;

/// A folder as it was seen last.
pub(super) struct WatchedFolder {
    /// What readers have.
    folder: Arc<Folder>,
    /// The zones that were found, sound or not.
    files: BTreeMap<Arc<[u8]>, WatchedFile>,
    /// What was said, once each.
    told: BTreeSet<String>,
}

impl WatchedFolder {
    /// A folder that was not looked at yet.
    pub(super) fn new(folder: Arc<Folder>) -> Self {
        Self { folder, files: BTreeMap::new(), told: BTreeSet::new() }
    }

    /// Whether the folder can be looked at; one that is not there may come. Errors: in words.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let dir = &self.folder.spec().dir;
        match std::fs::read_dir(dir) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::warn!(target: "plugin/auto", "Directory does not exist: {}", dir.display());
                Ok(())
            }
            Err(error) => Err(format!("the folder {} can't be looked at: {error}", dir.display())),
        }
    }

    /// Says something once, as long as it holds.
    fn tell(&self, said: &mut BTreeSet<String>, text: String) {
        if !self.told.contains(&text) {
            tracing::warn!(target: "plugin/auto", "{text}");
        }
        said.insert(text);
    }

    /// Looks at the folder and its files; returns the zones that are new or have changed.
    pub(super) fn look(&mut self) -> Vec<Arc<[u8]>> {
        let mut said = BTreeSet::new();
        let mut found: BTreeMap<Arc<[u8]>, PathBuf> = BTreeMap::new();
        let mut paths = Vec::new();
        walk(&self.folder.spec().dir, DEPTH, &mut paths);
        for path in paths {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let origin = match self.folder.spec().origin(&name) {
                None => continue,
                Some(Ok(origin)) => origin,
                Some(Err(why)) => {
                    self.tell(&mut said, format!("{}: {why}", path.display()));
                    continue;
                }
            };
            match found.get(&origin) {
                Some(first) => {
                    let zone = show_name(&origin);
                    let (first, path) = (first.display(), path.display());
                    self.tell(&mut said, format!("{zone} is in {first} and in {path}: the first is used"));
                }
                None => {
                    found.insert(origin, path);
                }
            }
        }
        let gone: Vec<Arc<[u8]>> =
            self.files.keys().filter(|origin| !found.contains_key(*origin)).cloned().collect();
        for origin in &gone {
            self.files.remove(origin);
            tracing::info!(target: "plugin/auto", "Deleting zone `{}'", show_name(origin));
        }
        let mut changed = Vec::new();
        for (origin, path) in found {
            let file = self
                .files
                .entry(origin.clone())
                .or_insert_with(|| WatchedFile::new(path.clone(), &origin, Arc::<Held>::default(), false));
            file.moved(&path);
            let new = file.held().live().is_none();
            match file.look() {
                Looked::Loaded => {
                    if new {
                        let zone = show_name(&origin);
                        tracing::info!(target: "plugin/auto", "Inserting zone `{zone}' from: {}", path.display());
                    }
                    changed.push(origin);
                }
                Looked::Same => {}
                // What was read before stays, and the file has said why.
                Looked::Unread(why) | Looked::Broken(why) if new => {
                    let text = format!("{why}; the zone is not served");
                    if !self.told.contains(&text) {
                        tracing::warn!(target: "plugin/auto", "{text}");
                    }
                    said.insert(text);
                }
                Looked::Unread(_) | Looked::Broken(_) => {}
            }
        }
        // Complaints of files that were not read again hold on.
        said.extend(self.told.iter().filter(|text| text.ends_with("is not served")).cloned());
        self.told = said;
        if !changed.is_empty() || !gone.is_empty() {
            let live = self.files.iter().filter(|(_, file)| file.held().live().is_some());
            self.folder.replace(live.map(|(origin, file)| (origin.clone(), file.held().clone())));
        }
        changed
    }
}

/// Adds the files below a folder, in the order of their names; links to folders are not followed, the folder itself aside,
/// nor are names that begin with two dots: they are the kubelet's.
fn walk(dir: &Path, depth: usize, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_unstable_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with("..") {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => walk(&entry.path(), depth - 1, paths),
            Ok(kind) if kind.is_dir() => {}
            Ok(_) => paths.push(entry.path()),
            Err(_) => {}
        }
    }
}
