//! A page of a running server's HTTP, fetched in the simplest way.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest page that is read. Unit: bytes.
const LONGEST: u64 = 32 << 20;

/// Fetches a page; its status and its body. Errors: in words.
pub(super) fn fetch(addr: SocketAddr, path: &str) -> Result<(u16, String), String> {
    let fail = |error: std::io::Error| format!("fetching http://{addr}{path}: {error}");
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE).map_err(fail)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(fail)?;
    // HTTP 1.0: one answer, not in chunks, and then the end.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n").map_err(fail)?;
    let mut bytes = Vec::new();
    stream.take(LONGEST).read_to_end(&mut bytes).map_err(fail)?;
    let text = String::from_utf8_lossy(&bytes);
    let nonsense = || format!("http://{addr}{path} answers with what is no HTTP");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(nonsense)?;
    let status =
        head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).ok_or_else(nonsense)?;
    Ok((status, body.to_owned()))
}

/// Where the running server is looked for unless somebody says: beside `health`, then beside `prometheus`.
pub(super) const USUAL: [u16; 2] = [8080, 9153];

/// Fetches a page of the running server, and says where that is. Errors: nobody answers it with 200; in words.
pub(super) fn find(admin: Option<SocketAddr>, path: &str) -> Result<(SocketAddr, String), String> {
    let usual = || USUAL.map(|port| SocketAddr::from(([127, 0, 0, 1], port))).to_vec();
    let bare = path.split('?').next().unwrap_or_default();
    let mut faults = Vec::new();
    for addr in admin.map_or_else(usual, |admin| vec![admin]) {
        match fetch(addr, path) {
            Ok((200, body)) => return Ok((addr, body)),
            Ok((status, body)) => {
                faults.push(format!("http://{addr}{bare} answers {status}: {}", body.trim()))
            }
            Err(fault) => faults.push(fault),
        }
    }
    Err(format!("no running server tells: {} (--admin says where it is)", faults.join("; ")))
}

/// A text in the form that a query string takes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
