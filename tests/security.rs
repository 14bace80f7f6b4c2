//! What docs/security.md promises, held against the code: ports, files, secrets, HTTP for operators, what is linked, and the
//! tests that the page names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "real sockets, real time")]
#![allow(clippy::print_stdout, reason = "says what was not run")]

mod api;
mod encrypted;
#[path = "security/files.rs"]
mod files;
#[path = "security/held.rs"]
mod held;
#[path = "security/http.rs"]
mod http;
#[path = "security/http2.rs"]
mod http2;
#[path = "security/linked.rs"]
mod linked;
#[path = "security/page.rs"]
mod page;
#[path = "security/ports.rs"]
mod ports;
#[allow(dead_code, reason = "the tests of the command line use all of it")]
#[path = "cli/process.rs"]
mod process;
#[path = "security/secrets.rs"]
mod secrets;
#[path = "security/together.rs"]
mod together;
