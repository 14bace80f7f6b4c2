//! What is told of it, as JSON: fields are added, never renamed.

use serde::{Deserialize, Serialize};

/// Who or what is among the first of a list.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The client, the name or the namespace.
    pub what: String,
    /// Queries, at least.
    pub at_least: u64,
    /// Queries, at most.
    pub at_most: u64,
}

/// What was asked most in a window of time.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct TopPage {
    /// The version of the server.
    pub version: String,
    /// The window that was asked for. Unit: minutes.
    pub minutes: u64,
    /// The time that is really counted: less after a start, and up to a sixth part more, since panes of time go as wholes. Unit: seconds.
    pub seconds: u64,
    /// Queries.
    pub queries: u64,
    /// Those whose name is not there.
    pub nxdomain: u64,
    /// Those that failed: SERVFAIL.
    pub failed: u64,
    /// Those for AAAA.
    pub aaaa: u64,
    /// Those for AAAA of names that are there without one.
    pub aaaa_empty: u64,
    /// Those that took longer than `slow_milliseconds`.
    pub slow: u64,
    /// What counts as slow.
    pub slow_milliseconds: u64,
    /// Those for names that only a search list makes, and that are not there.
    pub search: u64,
    /// Queries, since the start, that were not noted since a reader was there at that moment.
    pub missed: u64,
    /// Who asks most.
    pub clients: Vec<Row>,
    /// What is asked for most.
    pub names: Vec<Row>,
    /// The namespaces that are asked for most.
    pub namespaces: Vec<Row>,
    /// The names that are asked for most and are not there.
    pub nxdomain_names: Vec<Row>,
    /// The names that were slow most often.
    pub slow_names: Vec<Row>,
    /// The namespaces whose search lists are asked for most in vain.
    pub search_namespaces: Vec<Row>,
}

/// A query, as it is told.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Told {
    /// When it was answered. Unit: milliseconds since 1970.
    pub at: u64,
    /// Who asked.
    pub client: String,
    /// From which port.
    pub port: u16,
    /// `udp` or `tcp`.
    pub proto: String,
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub qtype: String,
    /// The response code.
    pub rcode: String,
    /// Whether there were records in the answer.
    pub answers: bool,
    /// The word that answered; empty where none did.
    pub word: String,
    /// How long it took. Unit: microseconds.
    pub microseconds: u64,
}

/// Queries, oldest first.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct TapPage {
    /// Where to go on: `after` of the next question.
    pub cursor: String,
    /// Whether queries were overwritten that the reader has not seen.
    pub lost: bool,
    /// How many were wanted and not told, since one page does not hold them.
    pub left_out: u64,
    /// Queries, since the start, that were not noted since a reader was there at that moment.
    pub missed: u64,
    /// The queries.
    pub queries: Vec<Told>,
}
