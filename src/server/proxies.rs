//! Datagrams that come through a proxy: whose they are (`proxyproto`).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::gate::proxy::{self, Front, Header};
use crate::chain::{ProxyPolicy, Treatment};
use crate::time::Tick;

/// Who told whose datagrams come, and until when that counts.
type Sessions = HashMap<SocketAddr, (SocketAddr, Tick)>;

/// The proxies of a worker's datagram sockets.
#[derive(Default)]
pub(super) struct Proxies {
    /// Who may tell the addresses of clients, by socket; empty without any `proxyproto`.
    policies: Vec<Option<Arc<ProxyPolicy>>>,
    /// Headers that came before, by socket and sender.
    sessions: HashMap<usize, Sessions>,
}

impl Proxies {
    /// Says who may tell the addresses of clients on a socket.
    pub(super) fn equip(&mut self, socket: usize, policy: Option<&Arc<ProxyPolicy>>) {
        if policy.is_some() && self.policies.len() <= socket {
            self.policies.resize(socket + 1, None);
        }
        if let Some(known) = self.policies.get_mut(socket) {
            *known = policy.cloned();
        }
        if policy.is_none_or(|policy| policy.sessions.is_none()) {
            self.sessions.remove(&socket);
        }
    }

    /// Takes the header off a datagram: whose it is, and the rest; `None` where it is dropped.
    ///
    /// Only version 2 speaks of datagrams.
    /// Cost: one look without `proxyproto`.
    pub(super) fn unwrap<'b>(
        &mut self,
        socket: usize,
        sender: SocketAddr,
        bytes: &'b [u8],
        now: Tick,
    ) -> Option<(SocketAddr, &'b [u8])> {
        let Some(policy) = self.policies.get(socket).and_then(Option::as_ref) else {
            return Some((sender, bytes));
        };
        let treatment = policy.treatment(sender.ip());
        if treatment == Treatment::Skip {
            return Some((sender, bytes));
        }
        let (length, client) = match proxy::read(bytes) {
            Front::Header(Header { version: 2, length, origin: Some(origin) }) if origin.datagram => {
                (length, origin.client)
            }
            Front::Header(_) | Front::Broken => return None,
            // An empty datagram, or the front of a message that begins by chance as a header does.
            Front::Incomplete | Front::Nothing => {
                let known = policy.sessions.filter(|_| treatment == Treatment::Use);
                let client = known.and_then(|(time, _)| self.recall(socket, sender, time, now));
                return Some((client.unwrap_or(sender), bytes));
            }
        };
        let rest = bytes.get(length..).unwrap_or_default();
        match treatment {
            Treatment::Reject => None,
            Treatment::Ignore | Treatment::Skip => Some((sender, rest)),
            Treatment::Use => {
                if let Some((time, most)) = policy.sessions {
                    self.remember(socket, (sender, client), now, time, most);
                    if rest.is_empty() {
                        return None;
                    }
                }
                Some((client, rest))
            }
        }
    }

    /// Whose the datagrams of a sender are; counts for as long again.
    fn recall(&mut self, socket: usize, sender: SocketAddr, time: Duration, now: Tick) -> Option<SocketAddr> {
        let (client, until) = self.sessions.get_mut(&socket)?.get_mut(&sender)?;
        if *until <= now {
            return None;
        }
        *until = now.plus(time);
        Some(*client)
    }

    /// Remembers whose the datagrams of a sender are; with `most` of them remembered, those that do not count any more go,
    /// or else some.
    fn remember(
        &mut self,
        socket: usize,
        (sender, client): (SocketAddr, SocketAddr),
        now: Tick,
        time: Duration,
        most: usize,
    ) {
        let sessions = self.sessions.entry(socket).or_default();
        if sessions.len() >= most && !sessions.contains_key(&sender) {
            sessions.retain(|_, (_, until)| *until > now);
            if sessions.len() >= most {
                // Many at once, so that it is not done again for the next one.
                let mut kept = most - most.div_ceil(8);
                sessions.retain(|_, _| {
                    let keep = kept > 0;
                    kept = kept.saturating_sub(1);
                    keep
                });
            }
        }
        sessions.insert(sender, (client, now.plus(time)));
    }
}
