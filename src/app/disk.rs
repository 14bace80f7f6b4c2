//! Where Corefiles are read from: the disk, with what the command line says.

use super::kubedns::Placeholders;
use crate::corefile;

/// The disk, with what the command line says.
pub(crate) struct CorefileSource {
    /// `-dns.port`.
    pub(crate) port: u16,
    /// What stands for placeholders.
    pub(crate) placeholders: Placeholders,
}

impl corefile::Source for CorefileSource {
    fn env(&self, name: &str) -> Option<String> {
        corefile::Disk.env(name)
    }

    fn files(&self, pattern: &str, from: &str) -> Result<Vec<(String, String)>, corefile::ImportFault> {
        corefile::Disk.files(pattern, from)
    }

    fn placeholder(&self, name: &str) -> Option<String> {
        self.placeholders.value(name, |name| corefile::Disk.env(name))
    }

    fn dns_port(&self) -> u16 {
        self.port
    }
}
