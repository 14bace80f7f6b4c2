//! How a command ends: what it has to say, where, and with which exit code.

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

/// How a command ended, and what it has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// What is to be printed on stdout; empty where all was shown already.
    pub text: String,
    /// Why there is no more than that, for stderr: one line, but for a Corefile that is refused.
    pub fault: Option<String>,
    /// What came out.
    pub exit: Exit,
}

impl From<(String, Exit)> for Ended {
    fn from((text, exit): (String, Exit)) -> Self {
        Self { text, fault: None, exit }
    }
}

/// Why a command has nothing to say.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Fault {
    /// In words, with what to do.
    text: String,
    /// What the exit code says.
    exit: Exit,
}

impl Fault {
    /// A mistake on the command line, or a file that can't be read.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: Exit::Usage }
    }

    /// A Corefile that is refused, or nobody who could be asked.
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: Exit::Bad }
    }
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self { text: String::new(), fault: Some(fault.text), exit: fault.exit }
    }
}

impl<T: Into<Ended>> From<Result<T, Fault>> for Ended {
    fn from(came: Result<T, Fault>) -> Self {
        match came {
            Ok(said) => said.into(),
            Err(fault) => fault.into(),
        }
    }
}
