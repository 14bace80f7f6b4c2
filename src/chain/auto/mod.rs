//! `auto`: zones from the files of a folder, whose names say which zones they are.

mod folder;
mod parse;
#[cfg(test)]
mod tests;

pub use folder::{Folder, FolderSpec, FolderZone};
pub(super) use parse::{HELP, SYNTAX, WORD, parse};
