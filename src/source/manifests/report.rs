//! What a look at a folder found: how much, and what is wrong with it.

use std::fmt;
use std::path::PathBuf;

use super::super::object::Fault;

/// The outcome of one look.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// True where anything was fed, the first complete look included.
    pub changed: bool,
    /// False until the folder could be listed once; until then nothing is fed.
    pub listed: bool,
    /// Files that are read from.
    pub files: usize,
    /// Objects that are fed.
    pub counts: Counts,
    /// What is wrong now and was not at the last look, in the order of the files.
    pub problems: Vec<Problem>,
    /// Files that had a problem at the last look and have none now, or are gone.
    pub healed: Vec<PathBuf>,
}

/// Objects that are fed, by kind.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Services.
    pub services: usize,
    /// EndpointSlices, the derived ones included.
    pub slices: usize,
    /// Namespaces, the implied ones included.
    pub namespaces: usize,
    /// Pods.
    pub pods: usize,
    /// ServiceImports.
    pub imports: usize,
    /// Ingresses, Gateways and routes.
    pub hosts: usize,
}

/// One thing that is wrong with a file; its `Display` is one line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    /// The file or folder.
    pub file: PathBuf,
    /// The line, counted from 1: of the mistake where that is known, else where the document starts.
    pub line: Option<u64>,
    /// The column, counted from 1.
    pub column: Option<u64>,
    /// Which document of the file, counted from 1.
    pub document: Option<usize>,
    /// Kind, namespace and name, as in `Service shop/web`.
    pub object: Option<String>,
    /// What is wrong.
    pub reason: Reason,
}

impl Problem {
    /// A problem of a whole file or folder.
    pub(super) fn of_file(file: impl Into<PathBuf>, reason: Reason) -> Self {
        Self { file: file.into(), line: None, column: None, document: None, object: None, reason }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        if let Some(document) = self.document.filter(|document| *document > 1) {
            write!(f, ": document {document}")?;
        }
        if let Some(object) = &self.object {
            write!(f, ": {object}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What is wrong.
#[derive(thiserror::Error, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// The file or folder cannot be read; what was read before stays.
    #[error("cannot be read: {error}")]
    Unreadable {
        /// What the system said.
        error: String,
    },
    /// The file is not read because of its size.
    #[error("has {bytes} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Folders within folders, too many of them.
    #[error("lies more than {limit} folders deep and is not read")]
    TooDeep {
        /// The deepest that is read.
        limit: usize,
    },
    /// The folder holds too many files.
    #[error("holds more than {limit} files; the rest is not read")]
    TooMany {
        /// The most that are read.
        limit: usize,
    },
    /// The document is neither YAML nor JSON.
    #[error("{message}")]
    Syntax {
        /// What the parser said, in one line.
        message: String,
    },
    /// The document is the template of a manifest.
    #[error("{message} (this looks like a template: render it first, as with helm template)")]
    Template {
        /// What the parser said, in one line.
        message: String,
    },
    /// The document is something else than an object of Kubernetes.
    #[error("is {what}, not an object of Kubernetes")]
    NotAnObject {
        /// What it is.
        what: &'static str,
    },
    /// A kind that is read, in a version that is not known.
    #[error("apiVersion {version:?} is not known and not read")]
    Version {
        /// The version as written.
        version: String,
    },
    /// Lists within lists, too many of them.
    #[error("lists lie more than {limit} deep and are not read")]
    ListDepth {
        /// The deepest that is read.
        limit: usize,
    },
    /// A part of an object is left out, or the whole of it.
    #[error("{0}")]
    Fault(Fault),
    /// The object was already found elsewhere.
    #[error("is already defined in {first}, which is used", first = first.display())]
    Duplicate {
        /// The file whose object is used.
        first: PathBuf,
    },
    /// A Service that should have an address.
    #[error(
        "has no spec.clusterIP and none is invented: its name has no address (use clusterIP: None if it is headless)"
    )]
    NoAddress,
}
