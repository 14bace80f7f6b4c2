//! The commands of the command line.

use clap::Subcommand;

use super::check::{CheckArgs, check};
use super::compare::{CompareArgs, compare};
use super::doctor::{DoctorArgs, doctor};
use super::exit::Ended;
use super::explain::{ExplainArgs, explain};
use super::tap::{TapArgs, tap};
use super::top::{TopArgs, top};

/// A command beside serving.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Say what a Corefile would do, and what is odd in it, without serving it
    Check(CheckArgs),
    /// Say why a name resolves as it does
    Explain(ExplainArgs),
    /// Ask two servers the same questions and say where they differ
    Compare(CompareArgs),
    /// Look for what is wrong or wasteful here
    Doctor(DoctorArgs),
    /// Show who asks most, for what, in vain and slowly
    Top(TopArgs),
    /// Show queries one by one, as they are answered or as they were recorded
    Tap(TapArgs),
}

/// Does what a command says.
#[must_use]
pub fn run(command: &Command) -> Ended {
    match command {
        Command::Check(args) => check(args),
        Command::Explain(args) => explain(args),
        Command::Compare(args) => compare(args),
        Command::Doctor(args) => doctor(args),
        Command::Top(args) => top(args),
        Command::Tap(args) => tap(args),
    }
}
