//! The commands beside serving: check a Corefile, explain a name, compare two servers, look for what is wrong.
//!
//! ```text
//! command line ─► Command ─► look (a Corefile, built and never served) ─► check, explain
//!                       ├──► page (what a running server says on loopback) ─► explain, doctor
//!                       └──► ask (a question to a server, decoded) ─► compare
//! ```
//!
//! Invariants: nothing here changes anything; text is for people and may change, JSON is for programs and only grows; the exit
//! code says what came out (`exit`).

mod ask;
mod check;
mod command;
mod compare;
mod doctor;
mod exit;
mod explain;
mod look;
mod page;
mod reference;
mod text;

pub use check::CheckArgs;
pub use command::{Command, run};
pub use compare::CompareArgs;
pub use doctor::DoctorArgs;
pub use exit::Exit;
pub use explain::ExplainArgs;
pub use reference::reference;
pub use text::Format;
