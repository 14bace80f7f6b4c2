//! What the exit code of a command says.

/// How a command ended; the same numbers for every command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// All is well: the Corefile is served, the name resolves, nothing differs, nothing was found.
    Good,
    /// A Corefile that is refused, or a server that could not be asked.
    Bad,
    /// A file that can't be read. (The command line's own mistakes end with the same number.)
    Usage,
    /// Something to look at: a warning under `--strict`, a finding of `doctor`.
    Findings,
    /// Two Corefiles or two servers differ, or a name does not resolve.
    Differs,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Bad => 1,
            Self::Usage => 2,
            Self::Findings => 3,
            Self::Differs => 4,
        }
    }
}
