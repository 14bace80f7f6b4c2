//! HTTP/1.1 by hand, so that a reply may end, stall or be cut anywhere.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// The content type of JSON.
pub const JSON: &str = "application/json";

/// Plain TCP, TLS, or a pipe in memory.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}

impl Stream for TcpStream {}
impl Stream for TlsStream<TcpStream> {}
impl Stream for tokio::io::DuplexStream {}

/// The head of a request.
#[derive(Clone, Default, Debug)]
pub struct Head {
    /// GET and the like.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// Headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// A connection and how it writes.
pub struct Connection {
    /// What the client sends.
    reader: ReadHalf<Box<dyn Stream>>,
    /// What the client gets.
    writer: WriteHalf<Box<dyn Stream>>,
    /// Bytes that were read and not used.
    read: Vec<u8>,
    /// The rate of bodies. Unit: bytes a second.
    pub pace: Option<usize>,
    /// The size of chunks.
    pub split: Option<usize>,
    /// What the bodies to come are.
    pub content_type: &'static str,
    /// How many bytes were sent, for all connections.
    sent: Arc<AtomicU64>,
}

impl Connection {
    /// Over a stream.
    pub fn new(stream: Box<dyn Stream>, sent: Arc<AtomicU64>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader, writer, read: Vec::new(), pace: None, split: None, content_type: JSON, sent }
    }

    /// The next request; `None` at the end of the connection.
    pub async fn request(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.read.drain(..end + 4).collect();
                return Some(parse(&String::from_utf8_lossy(&head)));
            }
            self.more().await?;
        }
    }

    /// Waits for more from the client; `None` at the end of the connection.
    pub async fn more(&mut self) -> Option<()> {
        let mut buffer = [0_u8; 4096];
        match self.reader.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(length) => {
                self.read.extend_from_slice(&buffer[..length]);
                Some(())
            }
        }
    }

    /// A whole reply.
    pub async fn reply(&mut self, code: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
        if self.pace.is_some() || self.split.is_some() {
            self.begin(code, headers).await?;
            self.chunk(body).await?;
            return self.end().await;
        }
        let mut bytes = self.head(code, headers);
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        self.write(&bytes).await
    }

    /// A head that promises the whole body, and half of it.
    pub async fn half(&mut self, body: &[u8]) -> std::io::Result<()> {
        let mut bytes = self.head(200, "");
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(&body[..body.len() / 2]);
        self.write(&bytes).await
    }

    /// The head of a reply in chunks.
    pub async fn begin(&mut self, code: u16, headers: &str) -> std::io::Result<()> {
        let mut bytes = self.head(code, headers);
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        self.write(&bytes).await
    }

    /// A part of the body, in one chunk unless `pace` or `split` cut it.
    pub async fn chunk(&mut self, body: &[u8]) -> std::io::Result<()> {
        /// How many times a second a slow body moves.
        const STEPS: usize = 20;
        let size = self.split.or(self.pace.map(|pace| (pace / STEPS).max(1))).unwrap_or(body.len());
        for part in body.chunks(size.max(1)) {
            let mut bytes = format!("{:x}\r\n", part.len()).into_bytes();
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
            self.write(&bytes).await?;
            if self.pace.is_some() {
                tokio::time::sleep(Duration::from_millis(1000 / 20)).await;
            }
        }
        Ok(())
    }

    /// A chunk that breaks off in its middle.
    pub async fn broken_chunk(&mut self, body: &[u8]) -> std::io::Result<()> {
        let mut bytes = format!("{:x}\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(&body[..body.len() / 2]);
        self.write(&bytes).await
    }

    /// The first lines of a reply, up to the framing of its body.
    fn head(&self, code: u16, headers: &str) -> Vec<u8> {
        format!("HTTP/1.1 {code} Fake\r\ncontent-type: {}\r\n{headers}", self.content_type).into_bytes()
    }

    /// The end of the body.
    pub async fn end(&mut self) -> std::io::Result<()> {
        self.write(b"0\r\n\r\n").await
    }

    /// Bytes, sent at once; a client that takes nothing for long is given up.
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sent.fetch_add(bytes.len().try_into().unwrap(), Ordering::Relaxed);
        let sent = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        match tokio::time::timeout(Duration::from_secs(30), sent).await {
            Ok(result) => result,
            Err(_) => Err(Error::from(ErrorKind::TimedOut)),
        }
    }
}

/// Reads the head of a request.
fn parse(text: &str) -> Head {
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let target = first.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    Head { method, path: path.to_owned(), query, headers }
}

/// Undoes percent-encoding, `+` for space included.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
