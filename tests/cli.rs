//! The real binary: flags, messages, signals, log lines, probes, and manifests that change while it runs.
//!
//! Each test starts a process of its own on ports that were free a moment before. Nothing is waited for without a bound.

#[path = "cli/flags.rs"]
mod flags;
#[path = "cli/lines.rs"]
mod lines;
#[path = "cli/manifests.rs"]
mod manifests;
#[path = "cli/messages.rs"]
mod messages;
#[path = "cli/process.rs"]
mod process;
#[path = "cli/signals.rs"]
mod signals;
