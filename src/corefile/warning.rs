//! What is odd in a Corefile and still no error.

use std::fmt;

use super::error::write_short;
use super::location::Location;

/// Something odd that is no error; displays as one line like an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// Where.
    pub at: Location,
    /// What.
    pub notice: Notice,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at)?;
        write_short(f, &self.notice.to_string())
    }
}

/// What is odd.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A glob that matches no file.
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A variable that is not set and became nothing.
    UnsetVariable {
        /// Its name.
        name: String,
    },
    /// A key that is an address without a mask, and so a name nobody asks for.
    AddressAsName {
        /// The address.
        text: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMatch { pattern } => write!(f, "no file matches the import `{pattern}`"),
            Self::UnsetVariable { name } => {
                write!(f, "the environment variable `{name}` is not set and was replaced by nothing")
            }
            Self::AddressAsName { text } => {
                write!(f, "`{text}` is read as a name; write `{text}/32` for the reverse zone of the address")
            }
        }
    }
}
