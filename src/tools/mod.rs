//! The commands beside serving: check a Corefile, explain a name, compare two servers, look for what is wrong, show what is
//! asked.
//!
//! ```text
//! command line ─► Command ─► look (a Corefile, built and never served) ─► check, explain
//!                       ├──► page (what a running server says on loopback) ─► explain, doctor, top, tap
//!                       └──► ask (a question to a server, decoded) ─► compare
//! ```
//!
//! Invariants: nothing here changes anything; text is for people and may change, JSON is for programs and only grows; what was
//! asked for goes to stdout, why there is nothing to stderr; the exit code says what came out (`exit`).

mod ask;
mod check;
mod command;
mod compare;
mod doctor;
mod exit;
mod explain;
mod live;
mod look;
mod page;
mod reference;
mod tap;
mod text;
mod top;

pub use check::CheckArgs;
pub use command::{Command, run};
pub use compare::CompareArgs;
pub use doctor::DoctorArgs;
pub use exit::{Ended, Exit};
pub use explain::ExplainArgs;
pub use reference::reference;
pub use tap::TapArgs;
pub use text::Format;
pub use top::{List, TopArgs};
