//! The upstreams of one `forward` line: which is asked first, how many queries at once, and what counts as an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;

use super::health::FIRST_PATIENCE;
use super::holdings::{Client, Holdings};
use super::upstream::Upstream;
use crate::wire::Rcode;

/// How the first upstream is chosen (rule F-07).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Policy {
    /// Any.
    #[default]
    Random,
    /// One after the other.
    RoundRobin,
    /// The first that is up, as written.
    Sequential,
}

/// What a `forward` line says, its upstreams aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupOptions {
    /// How the first upstream is chosen.
    pub policy: Policy,
    /// The most questions under way at once, of all workers together; 0 for no bound but the tables (`max_concurrent`).
    pub max_concurrent: usize,
    /// Whether nothing is asked while all upstreams are put aside (`failfast_all_unhealthy_upstreams`).
    pub failfast: bool,
    /// The most attempts of one question; 0 for as many as the time allows (`max_connect_attempts`).
    pub max_attempts: usize,
    /// The longest wait for one attempt (`read_timeout`).
    pub read_timeout: Duration,
    /// Codes after which another upstream is asked (`failover`).
    pub failover: Vec<Rcode>,
    /// Whether questions go out in letters of random case, and only such replies count (`case_randomization`).
    pub mixed_case: bool,
    /// Whether every query leaves from a port of its own (`fresh_port`).
    pub fresh_port: bool,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            policy: Policy::Random,
            max_concurrent: 0,
            failfast: false,
            max_attempts: 0,
            read_timeout: Duration::from_secs(2),
            failover: Vec::new(),
            mixed_case: false,
            fresh_port: false,
        }
    }
}

/// One in so many questions goes to an upstream that did badly, to see how it does now.
const EXPLORE: u32 = 128;

/// What was counted about lines, by all workers.
#[derive(Default, Debug)]
pub struct GroupCounts {
    /// Questions that were not asked since too many were under way.
    pub rejected: AtomicU64,
    /// Questions that met every upstream put aside.
    pub all_down: AtomicU64,
    /// Questions that joined one under way.
    pub coalesced: AtomicU64,
}

/// The upstreams of one `forward` line.
#[derive(Debug)]
pub struct Group {
    /// What the line says.
    pub options: GroupOptions,
    /// The upstreams now; a file or a name behind them may change them.
    upstreams: RwLock<Arc<[Arc<Upstream>]>>,
    /// Questions under way, of all workers.
    under_way: AtomicUsize,
    /// Whose they are.
    holdings: Holdings,
    /// Whose turn it is (round robin).
    turn: AtomicUsize,
    /// What was counted; may be shared with other groups.
    pub counts: Arc<GroupCounts>,
}

impl Group {
    /// A group of these upstreams with counts of its own.
    #[must_use]
    pub fn new(options: GroupOptions, upstreams: Vec<Arc<Upstream>>) -> Self {
        Self::counted(options, upstreams, Arc::default())
    }

    /// A group of these upstreams that counts there.
    #[must_use]
    pub fn counted(options: GroupOptions, upstreams: Vec<Arc<Upstream>>, counts: Arc<GroupCounts>) -> Self {
        Self {
            options,
            upstreams: RwLock::new(upstreams.into()),
            under_way: AtomicUsize::new(0),
            holdings: Holdings::default(),
            turn: AtomicUsize::new(0),
            counts,
        }
    }

    /// The upstreams now.
    #[must_use]
    pub fn upstreams(&self) -> Arc<[Arc<Upstream>]> {
        self.upstreams.read().clone()
    }

    /// Other upstreams from now on; questions under way end with those that they began with.
    pub fn replace(&self, upstreams: Vec<Arc<Upstream>>) {
        *self.upstreams.write() = upstreams.into();
    }

    /// Takes one place among the questions under way, for this client if it is anybody's; false when there is none.
    pub(super) fn enter(&self, client: Option<Client>) -> bool {
        let most = self.options.max_concurrent;
        if self.under_way.fetch_add(1, Relaxed) >= most && most > 0 {
            self.under_way.fetch_sub(1, Relaxed);
            self.counts.rejected.fetch_add(1, Relaxed);
            return false;
        }
        if let Some(client) = client {
            self.holdings.take(client);
        }
        true
    }

    /// Whether a client has much of what is under way, so that the last places are not for it.
    pub(super) fn holds_much(&self, client: Client) -> bool {
        self.holdings.much(client, self.under_way.load(Relaxed))
    }

    /// Whether only the last eighth of the places is left.
    pub(super) fn tight(&self) -> bool {
        let most = self.options.max_concurrent;
        most > 0 && self.under_way.load(Relaxed) >= most - most / 8
    }

    /// Gives the place back.
    pub(super) fn leave(&self, client: Option<Client>) {
        self.under_way.fetch_sub(1, Relaxed);
        if let Some(client) = client {
            self.holdings.give(client);
        }
    }

    /// The upstreams in the order in which they are to be asked: by the policy, those that do badly behind, those that
    /// are put aside last.
    pub(super) fn order(&self, rng: &mut fastrand::Rng) -> Vec<Arc<Upstream>> {
        let all = self.upstreams();
        let mut order: Vec<Arc<Upstream>> = all.to_vec();
        match self.options.policy {
            Policy::Random => rng.shuffle(&mut order),
            Policy::RoundRobin if !order.is_empty() => {
                let turn = self.turn.fetch_add(1, Relaxed) % order.len();
                order.rotate_left(turn);
            }
            Policy::RoundRobin | Policy::Sequential => {}
        }
        if order.len() > 1 {
            let explore = self.options.policy != Policy::Sequential && rng.u32(..EXPLORE) == 0;
            let best = all.iter().filter(|up| up.health.up()).filter_map(|up| up.health.cost()).min();
            // Stable: among equals the policy decides.
            order.sort_by_cached_key(|up| match up.health.up() {
                false => (2 + u8::from(up.health.looping()), Duration::ZERO),
                true if explore || self.options.policy == Policy::Sequential => (0, Duration::ZERO),
                true => {
                    let cost = up.health.cost();
                    let slow = match (cost, best) {
                        (Some(cost), Some(best)) => cost > best * 4 + Duration::from_millis(20),
                        _ => false,
                    };
                    // Where none does well, the one that does least badly is first.
                    match slow || up.health.lossy() || up.health.on_trial() {
                        true => (1, cost.unwrap_or(FIRST_PATIENCE)),
                        false => (0, Duration::ZERO),
                    }
                }
            });
        }
        order
    }
}
