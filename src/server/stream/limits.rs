//! The bounds of streams, and how workers share them.

use std::time::Duration;

/// The least that the streams of a worker may hold, however many workers there are: more than one of them ever does.
/// Unit: bytes.
const LEAST_HELD: usize = 512 * 1024;

/// The bounds of streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamLimits {
    /// How long a stream without a query may stay open; a fifth of it once more than half the places are taken.
    pub idle: Duration,
    /// How long a message may take from its first byte to its last.
    pub partial: Duration,
    /// How long a byte of a reply may wait for the peer to read it.
    pub write: Duration,
    /// The most streams.
    pub connections: usize,
    /// The most streams of one client address.
    pub per_client: usize,
    /// The most queries of one stream that wait.
    pub in_flight: usize,
    /// The most that all streams together hold of queries that are not whole and of replies that nobody reads. Unit: bytes.
    pub held: usize,
}

impl StreamLimits {
    /// The bounds of one of `workers` workers: connections are spread over them by the kernel.
    #[must_use]
    pub fn share(self, workers: usize) -> Self {
        let workers = workers.max(1);
        Self {
            connections: self.connections.div_ceil(workers),
            per_client: self.per_client.div_ceil(workers),
            held: (self.held / workers).max(LEAST_HELD.min(self.held)),
            ..self
        }
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10),
            partial: Duration::from_secs(3),
            write: Duration::from_secs(5),
            connections: 1024,
            per_client: 256,
            in_flight: 64,
            held: 6 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_what_streams_hold_and_one_can_always_hold_a_stream() {
        let all = StreamLimits::default();
        for workers in [1, 2, 3, 6, 12] {
            assert_eq!(all.share(workers).held * workers, all.held);
        }
        assert_eq!(all.share(64).held, LEAST_HELD);
        let little = StreamLimits { held: 1000, ..all };
        assert_eq!(little.share(8).held, 1000, "who wants less gets less");
    }
}
