//! What all streams of a worker hold together: counted byte by byte, and bounded (rule S-53).
//!
//! A stream by itself is bounded already; a thousand of them are not, each at its bound. So whatever a stream does, what it
//! holds since is counted, and as long as all hold too much, the client that holds most loses the stream that holds most.

use std::collections::HashMap;
use std::net::IpAddr;

use super::super::link::{Link, StreamId};
use super::{Stream, Streams};

/// Room that is kept for a stream that needs none now; more is given back. Unit: bytes.
const SPARE: usize = 2048;

impl Stream {
    /// The memory of what it has sent and was not answered, and of what it has not read. Unit: bytes.
    fn weight(&self) -> usize {
        self.input.capacity() + self.output.capacity()
    }

    /// Gives memory back that nothing is in.
    fn shrink(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() && buffer.capacity() > SPARE {
                *buffer = Vec::new();
            }
        }
    }
}

impl Streams {
    /// Counts anew what a stream holds, and closes those that hold most as long as all of them hold too much.
    ///
    /// Cost: a look-up; a walk over all streams for each that is closed.
    pub(super) fn weigh(&mut self, link: &mut impl Link, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id.0) {
            stream.shrink();
            let now = stream.weight() + link.held(id);
            self.held = self.held.saturating_sub(stream.held).saturating_add(now);
            stream.held = now;
        }
        while self.held > self.limits.held
            && let Some(greatest) = self.greatest()
        {
            self.counters.connections_cut.add(1);
            self.close(link, greatest);
        }
    }

    /// The stream that holds most, of the client that holds most; `None` where nobody holds anything.
    fn greatest(&self) -> Option<StreamId> {
        let mut clients: HashMap<IpAddr, usize> = HashMap::new();
        for stream in self.streams.values() {
            *clients.entry(stream.peer.ip()).or_default() += stream.held;
        }
        let of_client = |stream: &Stream| clients.get(&stream.peer.ip()).copied().unwrap_or(0);
        let holding = self.streams.iter().filter(|(_, stream)| stream.held > 0);
        let greatest = holding.max_by_key(|(_, stream)| (of_client(stream), stream.held));
        greatest.map(|(index, _)| StreamId(*index))
    }
}
