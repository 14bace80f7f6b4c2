//! The wire, row by row: W1 to W67 of docs/behaviour.md, sent as raw bytes to a server in this process.
//!
//! Every probe has an accept set; a probe over UDP goes over TCP too, and over TLS, HTTPS, QUIC and HTTP/3, and must get the
//! same verdict (W70). After each probe:
//! the server still answers a plain query (I1), a UDP reply is at most max(512, min(client's size, 1232)) bytes (I2),
//! and a reply to what can't be read is one datagram, no longer than the request (I3).

mod encrypted;

#[path = "wire/edns.rs"]
mod edns;
#[path = "wire/forwarded.rs"]
mod forwarded;
#[path = "wire/logs.rs"]
mod logs;
#[path = "wire/malformed.rs"]
mod malformed;
#[path = "wire/message.rs"]
mod message;
#[path = "wire/plain.rs"]
mod plain;
#[path = "wire/question.rs"]
mod question;
#[path = "wire/server.rs"]
mod server;
#[path = "wire/size.rs"]
mod size;
#[path = "wire/source.rs"]
mod source;
#[path = "wire/stream.rs"]
mod stream;
