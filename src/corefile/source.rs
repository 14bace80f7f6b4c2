//! Where a Corefile's surroundings come from: the files it imports and the environment.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::glob::{Glob, is_pattern};
use super::lexer::MAX_FILE;

/// The files a single glob may match.
const MAX_MATCHES: usize = 1_000;

/// The text that these bytes are. Errors: on which line they are none.
pub fn utf8(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = sound.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8 text"))
    })
}

/// The text of a Corefile. Errors: the file can't be read, or is no text.
pub fn read_text(path: &Path) -> io::Result<String> {
    fs::read(path).and_then(utf8)
}

/// Hands imported files and variables to the parser.
pub trait Source {
    /// The value of an environment variable; `None` if it is not set.
    fn env(&self, name: &str) -> Option<String>;

    /// The files that a plain path or glob names, with their text, sorted by name.
    ///
    /// A relative `pattern` starts from the folder of the file `from`. A glob without a match gives no files.
    ///
    /// Errors: `NotFound` for a plain path without a file; otherwise see [`ImportFault`].
    fn files(&self, pattern: &str, from: &str) -> Result<Vec<(String, String)>, ImportFault>;

    /// The value of a placeholder of node-local-dns, `DNS__DOMAIN` for `__PILLAR__DNS__DOMAIN__`; `None` if there is none.
    fn placeholder(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// The port of plain DNS keys that name none: 53, or what `-dns.port` says (rule S-06).
    fn dns_port(&self) -> u16 {
        53
    }
}

/// Why a file cannot be imported.
#[derive(thiserror::Error, Debug)]
#[non_exhaustive]
pub enum ImportFault {
    /// There is neither a file nor a snippet of this name.
    #[error("there is no such file or snippet")]
    NotFound,
    /// A folder, pipe or device.
    #[error("`{name}` is not a regular file")]
    NotAFile {
        /// Its path.
        name: String,
    },
    /// More than a Corefile may have.
    #[error("`{name}` is longer than {limit} bytes")]
    TooLong {
        /// Its path.
        name: String,
        /// Unit: bytes.
        limit: usize,
    },
    /// No text.
    #[error("`{name}` is not UTF-8 text")]
    NotText {
        /// Its path.
        name: String,
    },
    /// The system refuses.
    #[error("`{name}` cannot be read")]
    Unreadable {
        /// Its path.
        name: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// A glob that is not one.
    #[error("the pattern has a `[` without its `]`")]
    BadPattern,
    /// A glob that matches too much.
    #[error("the pattern matches more than {limit} files")]
    TooManyMatches {
        /// Files allowed.
        limit: usize,
    },
    /// This source has no files.
    #[error("imports of files are not available here")]
    Unavailable,
}

/// The real surroundings: this process's environment and file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Source for Disk {
    fn env(&self, name: &str) -> Option<String> {
        // `var_os` panics on names that cannot exist.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn files(&self, pattern: &str, from: &str) -> Result<Vec<(String, String)>, ImportFault> {
        let folder = Path::new(from).parent().unwrap_or(Path::new(""));
        if !is_pattern(pattern) {
            return read(&clean(&folder.join(pattern))).map(|file| vec![file]);
        }
        matches(folder, pattern)?.iter().map(|path| read(path)).collect()
    }
}

/// Surroundings without files and variables, for tests and for text from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoImports;

impl Source for NoImports {
    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    fn files(&self, _pattern: &str, _from: &str) -> Result<Vec<(String, String)>, ImportFault> {
        Err(ImportFault::Unavailable)
    }
}

/// The path without `.` and without `x/..`, so that one file has one name.
///
/// Source: Go `path/filepath.Clean`, which does not look at symbolic links either.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

/// Name and text of one file.
fn read(path: &Path) -> Result<(String, String), ImportFault> {
    let name = path.to_string_lossy().into_owned();
    let unreadable = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ImportFault::NotFound,
        _ => ImportFault::Unreadable { name: name.clone(), cause },
    };
    // Opening a pipe would wait for its writer, so ask first.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(ImportFault::NotAFile { name });
    }
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > MAX_FILE {
        return Err(ImportFault::TooLong { name, limit: MAX_FILE });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((name, text)),
        Err(_) => Err(ImportFault::NotText { name }),
    }
}

/// The files below `folder` that match the glob, sorted.
///
/// Every part of the path may hold wildcards. Folders are passed over: a mounted ConfigMap has some beside its files.
/// What cannot be listed has no matches.
///
/// Source: Go `path/filepath.Glob`, but for the folders.
fn matches(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, ImportFault> {
    let mut found = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { folder.to_owned() }];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        if is_pattern(part) {
            let glob = Glob::parse(part).ok_or(ImportFault::BadPattern)?;
            for folder in &found {
                next.extend(
                    list(folder).into_iter().filter(|name| glob.matches(name)).map(|name| folder.join(name)),
                );
            }
        } else {
            next.extend(found.iter().map(|folder| folder.join(part)));
        }
        if next.len() > MAX_MATCHES {
            return Err(ImportFault::TooManyMatches { limit: MAX_MATCHES });
        }
        found = next;
    }
    found = found.iter().map(|path| clean(path)).filter(|path| path.is_file()).collect();
    found.sort_unstable();
    Ok(found)
}

/// The names in a folder; none if it cannot be listed, and none that are not UTF-8.
fn list(folder: &Path) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
