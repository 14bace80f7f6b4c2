//! What lies in a folder and those below it, found with one stat each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::report::{Problem, Reason};

/// The most files that are read.
const FILES_LIMIT: usize = 65_536;

/// How many folders deep a file may lie.
const DEPTH_LIMIT: usize = 16;

/// What tells without reading that a file changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    /// Device and inode, behind symbolic links.
    inode: (u64, u64),
    /// Size in bytes.
    pub(super) size: u64,
    /// Seconds and nanoseconds of the last write.
    modified: (i64, i64),
    /// Seconds and nanoseconds of the last change of the inode.
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a file.
    fn of(meta: &Metadata) -> Self {
        Self {
            inode: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// What is in a folder and those below it.
#[derive(Default, Debug)]
pub(super) struct Listing {
    /// The files that are ours, with their stamp or what hinders it.
    pub(super) files: BTreeMap<PathBuf, io::Result<Stamp>>,
    /// Folders whose content is not known.
    pub(super) unlisted: BTreeSet<PathBuf>,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// Device and inode of the folders that are being listed, from the outermost on.
    inside: Vec<(u64, u64)>,
    /// True where there were more files than are read.
    full: bool,
}

impl Listing {
    /// Lists `dir`, following symbolic links and leaving out hidden names.
    ///
    /// A mounted ConfigMap holds `..data`, a link to a hidden folder that is swapped as a whole, and visible links into
    /// it: those are read, and a swap shows in their stamps.
    pub(super) fn of(dir: &Path) -> Self {
        let mut listing = Self::default();
        match fs::metadata(dir) {
            Ok(meta) => listing.folder(dir, &meta),
            Err(error) => listing.fail(dir, &error),
        }
        if listing.full {
            listing.problems.push(Problem::of_file(dir, Reason::TooMany { limit: FILES_LIMIT }));
        }
        listing
    }

    /// Lists one folder.
    fn folder(&mut self, dir: &Path, meta: &Metadata) {
        let inode = (meta.dev(), meta.ino());
        if self.inside.contains(&inode) {
            // A link that leads back up: everything in it is listed already.
            return;
        }
        if self.inside.len() > DEPTH_LIMIT {
            self.problems.push(Problem::of_file(dir, Reason::TooDeep { limit: DEPTH_LIMIT }));
            return;
        }
        self.inside.push(inode);
        match fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(mut entries) => {
                // Sorted, so that it is the same files that are left out where there are too many.
                entries.sort_unstable_by_key(fs::DirEntry::file_name);
                for entry in entries {
                    if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                        self.entry(entry.path());
                    }
                }
            }
            Err(error) => self.fail(dir, &error),
        }
        self.inside.pop();
    }

    /// Lists one entry of a folder.
    fn entry(&mut self, path: PathBuf) {
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => self.folder(&path, &meta),
            Ok(meta) if meta.is_file() && is_ours(&path) => self.file(path, Ok(Stamp::of(&meta))),
            Ok(_) => {}
            // It went away between the listing and now.
            Err(_)
                if fs::symlink_metadata(&path)
                    .is_err_and(|error| error.kind() == io::ErrorKind::NotFound) => {}
            Err(error) if is_ours(&path) => self.file(path, Err(error)),
            // What leads nowhere may have been a folder; with an ending it was a file that is not ours.
            Err(error) if path.extension().is_none() => self.fail(&path, &error),
            Err(_) => {}
        }
    }

    /// Adds a file, unless there are too many.
    fn file(&mut self, path: PathBuf, stamp: io::Result<Stamp>) {
        if self.files.len() < FILES_LIMIT {
            self.files.insert(path, stamp);
        } else {
            self.full = true;
        }
    }

    /// Notes a folder that could not be listed.
    fn fail(&mut self, dir: &Path, error: &io::Error) {
        self.problems.push(Problem::of_file(dir, Reason::Unreadable { error: error.to_string() }));
        self.unlisted.insert(dir.to_path_buf());
    }
}

/// True for the endings that are read.
fn is_ours(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|ours| ending.eq_ignore_ascii_case(ours)))
}
