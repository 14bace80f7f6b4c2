//! hickory-server with the cluster zone behind it.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::bail;

/// Why it cannot be run; `None` where it can.
pub(crate) fn hindrance() -> Option<String> {
    Some("the library has no hickory zone handler yet".to_owned())
}

/// Serves until the process is ended.
pub(crate) fn run(_addr: SocketAddr, _dir: &Path) -> anyhow::Result<()> {
    bail!("the library has no hickory zone handler yet")
}
