//! A page of a running server's HTTP, fetched in the simplest way.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::exit::Fault;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest page that is read. Unit: bytes.
const LONGEST: u64 = 32 << 20;

/// How much of a refusal is shown. Unit: characters.
const LINE: usize = 200;

/// Why a page could not be had.
#[derive(Debug, thiserror::Error)]
#[error("http://{addr}{page}: {why}")]
pub(super) struct Unread {
    /// Who was asked.
    addr: SocketAddr,
    /// For which page.
    page: String,
    /// In words.
    why: String,
}

/// A page without its parameters.
fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

/// What the network says, in words.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => format!("no answer within {} s", PATIENCE.as_secs()),
        _ => error.to_string(),
    }
}

/// Fetches a page; its status and its body. Errors: nobody answers, or not with HTTP.
pub(super) fn fetch(addr: SocketAddr, path: &str) -> Result<(u16, String), Unread> {
    let unread = |why: String| Unread { addr, page: bare(path).to_owned(), why };
    let fail = |error: std::io::Error| unread(words(&error));
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE).map_err(fail)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(fail)?;
    // HTTP 1.0: one answer, not in chunks, and then the end.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n").map_err(fail)?;
    let mut bytes = Vec::new();
    stream.take(LONGEST).read_to_end(&mut bytes).map_err(fail)?;
    let text = String::from_utf8_lossy(&bytes);
    let nonsense = || unread("answers with what is no HTTP".to_owned());
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(nonsense)?;
    let status =
        head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).ok_or_else(nonsense)?;
    Ok((status, body.to_owned()))
}

/// Where the running server is looked for unless somebody says: beside `health`, then beside `prometheus`.
pub(super) const USUAL: [u16; 2] = [8080, 9153];

/// Fetches a page of the running server, reads it, and says where that is; `instead` is what else could be done where there
/// is none.
///
/// Errors: nobody answers with such a page.
pub(super) fn find<P: DeserializeOwned>(
    admin: Option<SocketAddr>,
    path: &str,
    instead: &str,
) -> Result<(SocketAddr, P), Fault> {
    let usual = || USUAL.map(|port| SocketAddr::from(([127, 0, 0, 1], port))).to_vec();
    // What is wrong, and where it is so.
    let mut faults: Vec<(String, Vec<String>)> = Vec::new();
    let mut heard = false;
    for addr in admin.map_or_else(usual, |admin| vec![admin]) {
        let why = match fetch(addr, path) {
            Ok((200, body)) => match serde_json::from_str(&body) {
                Ok(page) => return Ok((addr, page)),
                Err(_) => format!("what {} answers is not signpost's", bare(path)),
            },
            Ok((status, body)) => {
                heard = true;
                let line: String = body.lines().next().unwrap_or_default().chars().take(LINE).collect();
                format!("{} answers {status}: {line}", bare(path))
            }
            Err(unread) => unread.why,
        };
        match faults.iter_mut().find(|(known, _)| *known == why) {
            Some((_, places)) => places.push(addr.to_string()),
            None => faults.push((why, vec![addr.to_string()])),
        }
    }
    let faults: Vec<String> =
        faults.iter().map(|(why, places)| format!("{}: {why}", places.join(" and "))).collect();
    // Whoever answers says himself what to do, but for what every server of ours has.
    let advice = match heard && instead.is_empty() {
        true => String::new(),
        false => format!(
            ". Run it where the server runs (kubectl exec), say with --admin where its `health` or `prometheus` is{instead}"
        ),
    };
    Err(Fault::bad(format!("no running server tells: {}{advice}", faults.join("; "))))
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
