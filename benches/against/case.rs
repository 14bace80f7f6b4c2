//! A case: a Corefile in parts, the files that it names, and the objects of the cluster. Parts can be taken away one by one.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

/// A word of a block with its lines in braces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Word {
    /// The word and its arguments.
    pub(crate) head: String,
    /// The lines in braces; without any there are no braces.
    pub(crate) lines: Vec<String>,
    /// Whether it must stay when a case is made smaller.
    pub(crate) fixed: bool,
}

impl Word {
    /// A word without braces.
    pub(crate) fn new(head: impl Into<String>) -> Self {
        Self { head: head.into(), lines: Vec::new(), fixed: false }
    }

    /// The same with these lines.
    pub(crate) fn with(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }

    /// The same, but it stays.
    pub(crate) fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }
}

/// A server block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    /// Its zone.
    pub(crate) key: String,
    /// Its words, beside `bind`.
    pub(crate) words: Vec<Word>,
}

/// A case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The blocks.
    pub(crate) blocks: Vec<Block>,
    /// Files by name, which the Corefile calls `{DIR}/NAME`.
    pub(crate) files: Vec<(String, String)>,
    /// The objects of the cluster.
    pub(crate) objects: Vec<Value>,
}

/// What stands for a server's own things in a Corefile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Where it listens: a port of 127.0.0.1.
    pub(crate) port: u16,
    /// Where it says that it is ready.
    pub(crate) ready: u16,
    /// The API server.
    pub(crate) api: &'a str,
    /// The upstream.
    pub(crate) upstream: SocketAddr,
    /// The folder of files.
    pub(crate) dir: &'a Path,
}

impl Case {
    /// The Corefile of a server.
    pub(crate) fn corefile(&self, place: Place<'_>) -> String {
        let mut text = String::new();
        for (number, block) in self.blocks.iter().enumerate() {
            let _ = writeln!(text, "{}:{} {{\n    bind 127.0.0.1", block.key, place.port);
            if number == 0 || block.words.iter().any(|word| word.head.starts_with("kubernetes ")) {
                let _ = writeln!(text, "    ready 127.0.0.1:{}", place.ready);
            }
            for word in &block.words {
                let braces = if word.lines.is_empty() { "" } else { " {" };
                let _ = writeln!(text, "    {}{braces}", word.head);
                for line in &word.lines {
                    let _ = writeln!(text, "        {line}");
                }
                if !word.lines.is_empty() {
                    text.push_str("    }\n");
                }
            }
            text.push_str("}\n");
        }
        text.replace("{API}", place.api)
            .replace("{UPSTREAM}", &place.upstream.to_string())
            .replace("{DIR}", &place.dir.display().to_string())
    }

    /// Writes the files down.
    pub(crate) fn write_files(&self, dir: &Path) {
        for (name, text) in &self.files {
            std::fs::write(dir.join(name), text).unwrap();
        }
    }

    /// Whether a block has this word.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words().any(|one| one.head.split(' ').next() == Some(word))
    }

    /// All words.
    pub(crate) fn words(&self) -> impl Iterator<Item = &Word> {
        self.blocks.iter().flat_map(|block| &block.words)
    }

    /// The words and their lines as one text, `; ` between: what exceptions look at.
    pub(crate) fn options(&self) -> String {
        self.words()
            .flat_map(|word| std::iter::once(&word.head).chain(&word.lines))
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("; ")
    }
}
