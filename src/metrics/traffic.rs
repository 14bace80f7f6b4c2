//! What is counted of one server over an encrypted transport.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The statuses of HTTP that we send; any other is counted as the last.
pub const HTTP: &[u16] = &[200, 400, 404, 405, 408, 413, 414, 415, 503, 500];

/// The codes of DNS over QUIC that we send (RFC 9250 §4.3); any other is counted as the last.
pub const DOQ: &[u16] = &[0, 2, 3, 4, 1];

/// The counts; several threads write them.
#[derive(Debug)]
pub struct Traffic {
    /// The codes that are told apart.
    codes: &'static [u16],
    /// How often each was sent.
    answers: Box<[AtomicU64]>,
    /// Connections that are open.
    open: AtomicUsize,
    /// Connections that were refused since there were too many.
    refused: AtomicU64,
}

impl Traffic {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(codes: &'static [u16]) -> Self {
        Self {
            codes,
            answers: codes.iter().map(|_| AtomicU64::default()).collect(),
            open: AtomicUsize::default(),
            refused: AtomicU64::default(),
        }
    }

    /// Counts an answer with this code.
    pub fn answered(&self, code: u16) {
        let place = self.codes.iter().position(|known| *known == code);
        if let Some(count) = self.answers.get(place.unwrap_or(self.codes.len().saturating_sub(1))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each code that was sent, and how often.
    pub fn answers(&self) -> impl Iterator<Item = (u16, u64)> {
        let counts = self.answers.iter().map(|count| count.load(Ordering::Relaxed));
        self.codes.iter().copied().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// Takes a place for a connection, if fewer than `most` are taken.
    pub fn enter(&self, most: usize) -> bool {
        let entered = self.open.fetch_add(1, Ordering::Relaxed) < most;
        if !entered {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        entered
    }

    /// Gives a place back.
    pub fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a connection that found no place.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections that were refused.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
