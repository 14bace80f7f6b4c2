//! The datagram sockets of a worker to one upstream: many ports, picked at random, none used for long.
//!
//! A forger must hit the port as well as the id: so there are up to 64 ports, each for at most 100 queries or 10 s
//! (RFC 5452 §4.5, RFC 9715), and one wrong reply is enough to give a port up.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::network::{Network, Ticket};
use super::room::Room;
use super::upstream::{Upstream, count};
use crate::time::Tick;

/// Ports of an upstream in use at a time.
const PORTS: usize = 64;

/// Sockets of a worker beyond which no port is for one query alone: descriptors are few.
const FRESH: usize = 512;

/// Queries of a port.
const QUERIES: u32 = 100;

/// Age of a port.
const AGE: Duration = Duration::from_secs(10);

/// How long a reply that nobody waits for any more is still known as late.
const LATE: Duration = Duration::from_secs(5);

/// After which time a reply that nobody waits for any more is taken for lost.
const LOST: Duration = Duration::from_secs(2);

/// A query that was sent from a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Its id.
    pub(super) id: u16,
    /// What it was sent for.
    pub(super) ticket: Ticket,
    /// When.
    pub(super) at: Tick,
    /// Whether another upstream was quicker, so that it is still open whether this one answers at all.
    pub(super) unjudged: bool,
}

/// A socket.
pub(super) struct Socket {
    /// The upstream's number.
    pub(super) upstream: u32,
    /// What was sent and not answered.
    pub(super) sent: Vec<Sent>,
    /// How many queries it sent.
    used: u32,
    /// When it was opened.
    opened: Tick,
    /// Whether nothing more is sent from it.
    retired: bool,
}

/// What a worker has with one upstream.
pub(super) struct Pool {
    /// The upstream; gone when no plan and no flight holds it.
    pub(super) upstream: Weak<Upstream>,
    /// Its number.
    id: u32,
    /// Sockets in use.
    ports: Vec<usize>,
    /// Places for attempts that are awaited.
    pub(super) room: Room,
}

/// The pools of a worker.
pub(super) struct Pools {
    /// One an upstream.
    pools: Vec<Pool>,
    /// Sockets by the network's number.
    sockets: Vec<Option<Socket>>,
    /// The most attempts that may be under way to one upstream.
    most: u32,
}

impl Pools {
    /// No pool yet; `most` attempts may be under way to one upstream.
    pub(super) fn new(most: usize) -> Self {
        Self { pools: Vec::new(), sockets: Vec::new(), most: u32::try_from(most).unwrap_or(u32::MAX).max(1) }
    }

    /// The pool of an upstream, made if there is none. Cost: one look at each upstream that there is.
    pub(super) fn of(&mut self, upstream: &Arc<Upstream>) -> &mut Pool {
        let id = upstream.id();
        let place = match self.pools.iter().position(|pool| pool.id == id) {
            Some(place) => place,
            None => {
                self.pools.push(Pool {
                    upstream: Arc::downgrade(upstream),
                    id,
                    ports: Vec::new(),
                    room: Room::new(self.most),
                });
                self.pools.len() - 1
            }
        };
        &mut self.pools[place]
    }

    /// What was promised is taken from now on.
    pub(super) fn redeem(&mut self) {
        self.pools.iter_mut().for_each(|pool| pool.room.redeem());
    }

    /// Whether an upstream has only places left for clients that hold little.
    pub(super) fn any_tight(&self) -> bool {
        self.pools.iter().any(|pool| pool.room.tight())
    }

    /// Whether each of these upstreams has.
    pub(super) fn all_tight(&self, upstreams: &[Arc<Upstream>]) -> bool {
        let tight = |id: u32| self.pools.iter().any(|pool| pool.id == id && pool.room.tight());
        upstreams.iter().all(|upstream| tight(upstream.id()))
    }

    /// The socket with this number of the network.
    pub(super) fn socket(&mut self, number: usize) -> Option<&mut Socket> {
        self.sockets.get_mut(number).and_then(Option::as_mut)
    }

    /// Upstreams that are known here.
    pub(super) fn upstreams(&self) -> impl Iterator<Item = Arc<Upstream>> + '_ {
        self.pools.iter().filter_map(|pool| pool.upstream.upgrade())
    }

    /// A socket to send from: one picked at random by `draw`, or a new one while there are few; `fresh` for one that is
    /// used once.
    ///
    /// Errors: no descriptors (then one that is there is used, if any), no route.
    pub(super) fn pick(
        &mut self,
        upstream: &Arc<Upstream>,
        fresh: bool,
        draw: u32,
        network: &mut dyn Network,
        now: Tick,
    ) -> std::io::Result<usize> {
        let fresh = fresh && self.open() < FRESH;
        self.of(upstream);
        let Self { pools, sockets, .. } = self;
        let Some(pool) = pools.iter_mut().find(|pool| pool.id == upstream.id()) else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        // Worn-out ports go before one is picked.
        pool.ports.retain(|&number| match sockets.get_mut(number).and_then(Option::as_mut) {
            Some(socket) if socket.used < QUERIES && now.since(socket.opened) < AGE => true,
            Some(socket) => {
                socket.retired = true;
                if socket.sent.is_empty() {
                    network.shut(number);
                    sockets[number] = None;
                }
                false
            }
            None => false,
        });
        if fresh || pool.ports.len() < PORTS {
            let (to, from): (SocketAddr, Option<IpAddr>) = (upstream.spec().addr, upstream.spec().source);
            match network.open(to, from) {
                Ok(number) => {
                    if sockets.len() <= number {
                        sockets.resize_with(number + 1, || None);
                    }
                    let socket =
                        Socket { upstream: pool.id, sent: Vec::new(), used: 1, opened: now, retired: fresh };
                    sockets[number] = Some(socket);
                    count(&upstream.counts.ports_opened);
                    if !fresh {
                        pool.ports.push(number);
                    }
                    return Ok(number);
                }
                Err(error) if pool.ports.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        let place = usize::try_from(draw).unwrap_or(0) % pool.ports.len().max(1);
        let number = pool.ports.get(place).copied().ok_or(std::io::ErrorKind::NotFound)?;
        if let Some(socket) = sockets.get_mut(number).and_then(Option::as_mut) {
            socket.used += 1;
        }
        count(&upstream.counts.ports_reused);
        Ok(number)
    }

    /// Nobody waits for an attempt any more; if it is not answered it counts as lost all the same, else an upstream that
    /// loses would look well wherever another one makes up for it.
    pub(super) fn leave_open(&mut self, number: Option<usize>, ticket: Ticket) {
        let socket = number.and_then(|number| self.socket(number));
        if let Some(sent) =
            socket.and_then(|socket| socket.sent.iter_mut().find(|sent| sent.ticket == ticket))
        {
            sent.unjudged = true;
        }
    }

    /// A port is given up: nothing more is sent from it.
    pub(super) fn retire(&mut self, number: usize, network: &mut dyn Network) {
        let Some(socket) = self.sockets.get_mut(number).and_then(Option::as_mut) else { return };
        socket.retired = true;
        let upstream = socket.upstream;
        if let Some(pool) = self.pools.iter_mut().find(|pool| pool.id == upstream) {
            pool.ports.retain(|known| *known != number);
        }
        self.close_if_done(number, network);
    }

    /// Closes a socket that is given up and waits for nothing.
    pub(super) fn close_if_done(&mut self, number: usize, network: &mut dyn Network) {
        if let Some(place) = self.sockets.get_mut(number)
            && place.as_ref().is_some_and(|socket| socket.retired && socket.sent.is_empty())
        {
            *place = None;
            network.shut(number);
        }
    }

    /// Forgets replies that never came, closes what is old, and lets go of upstreams that nobody holds.
    pub(super) fn sweep(&mut self, network: &mut dyn Network, now: Tick) {
        let gone: Vec<u32> =
            self.pools.iter().filter(|pool| pool.upstream.strong_count() == 0).map(|pool| pool.id).collect();
        self.pools.retain(|pool| !gone.contains(&pool.id));
        for number in 0..self.sockets.len() {
            let Some(Some(socket)) = self.sockets.get_mut(number) else { continue };
            let pool = self.pools.iter().find(|pool| pool.id == socket.upstream);
            let upstream = pool.and_then(|pool| pool.upstream.upgrade());
            let open = socket.sent.iter_mut().filter(|sent| sent.unjudged && now.since(sent.at) >= LOST);
            for sent in open {
                sent.unjudged = false;
                if let Some(upstream) = &upstream {
                    upstream.health.missed();
                }
            }
            socket.sent.retain(|sent| now.since(sent.at) < LATE);
            if now.since(socket.opened) >= AGE || gone.contains(&socket.upstream) {
                self.retire(number, network);
            } else {
                self.close_if_done(number, network);
            }
        }
    }

    /// How many sockets are open.
    pub(super) fn open(&self) -> usize {
        self.sockets.iter().flatten().count()
    }
}
