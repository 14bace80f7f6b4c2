//! Where workers hand jobs over: bounded, and the thread behind it starts with the first job.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::super::network::{Job, Streams};
use super::super::upstream::Protocol;
use super::fault::ours;
use super::lane::Lane;
use super::task::{Task, refuse};
use super::tls::TlsConfigs;
use crate::panics::attempt;
use crate::time::Clock;

/// The bounds of streams to upstreams.
#[derive(Clone, Debug)]
pub struct DeskOptions {
    /// The most jobs under way.
    pub most: usize,
    /// The most jobs under way to one upstream.
    pub most_per_upstream: usize,
    /// How long opening a connection may take, its handshake included.
    pub open: Duration,
    /// How long a connection may be silent while it owes a reply, before others are given to a fresh one.
    pub silent: Duration,
    /// How long an upstream may leave unread what it is sent.
    pub unread: Duration,
}

impl Default for DeskOptions {
    fn default() -> Self {
        Self {
            most: 4096,
            most_per_upstream: 1024,
            open: Duration::from_millis(1500),
            silent: Duration::from_secs(1),
            unread: Duration::from_secs(2),
        }
    }
}

/// Talks to upstreams over streams, on the thread `upstreams`.
pub struct Desk {
    /// The bounds.
    options: DeskOptions,
    /// What jobs' ends are told by.
    clock: Clock,
    /// Jobs under way.
    under_way: Arc<AtomicUsize>,
    /// The way to the thread, once there is one.
    thread: Mutex<Option<UnboundedSender<Task>>>,
}

impl Desk {
    /// A desk without a thread yet; `clock` is the one of the workers.
    #[must_use]
    pub fn new(options: DeskOptions, clock: Clock) -> Self {
        Self { options, clock, under_way: Arc::default(), thread: Mutex::new(None) }
    }

    /// Starts the thread.
    fn start(&self) -> std::io::Result<UnboundedSender<Task>> {
        let (sender, receiver) = unbounded_channel();
        let (options, clock) = (self.options.clone(), self.clock.clone());
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        std::thread::Builder::new().name("upstreams".to_owned()).spawn(move || {
            attempt("upstreams", || LocalSet::new().block_on(&runtime, serve(receiver, options, clock)));
        })?;
        Ok(sender)
    }
}

impl Streams for Desk {
    /// Cost for the worker: one allocation at most, and a wake-up of the thread if it sleeps.
    fn ask(&self, job: Job) {
        let mut task = match Task::new(job, &self.under_way, self.options.most) {
            Ok(task) => task,
            Err(job) => return refuse(job, ours(TOO_MANY)),
        };
        let mut thread = self.thread.lock();
        // A second time where the thread has ended, which only a panic of it does.
        for _ in 0..2 {
            let sender = match thread.as_ref() {
                Some(sender) => sender,
                None => match self.start() {
                    Ok(sender) => thread.insert(sender),
                    Err(error) => {
                        drop(thread);
                        return task.fail(ours(format!("no thread for streams can be started: {error}")));
                    }
                },
            };
            match sender.send(task) {
                Ok(()) => return,
                Err(back) => {
                    task = back.0;
                    *thread = None;
                }
            }
        }
    }
}

/// What is said where a bound is met.
pub(super) const TOO_MANY: &str = "too many queries wait";

/// Jobs taken from the workers at a time.
const TAKEN: usize = 64;

/// From so many lanes on, those without work are looked for when one is added.
const LANES: usize = 64;

/// After so long without a job, lanes without connections are let go of.
const SWEEP: Duration = Duration::from_secs(30);

/// What lanes have in common.
pub(super) struct Room {
    /// The bounds.
    pub(super) options: DeskOptions,
    /// The clock.
    pub(super) clock: Clock,
    /// How encrypted upstreams are talked to.
    pub(super) tls: TlsConfigs,
}

/// The life of the thread: ends with the desk.
async fn serve(mut receiver: UnboundedReceiver<Task>, options: DeskOptions, clock: Clock) {
    let room = Rc::new(Room { options, clock, tls: TlsConfigs::default() });
    let mut lanes: HashMap<(u32, Protocol), Rc<Lane>> = HashMap::new();
    let mut taken = Vec::with_capacity(TAKEN);
    loop {
        match timeout(SWEEP, receiver.recv_many(&mut taken, TAKEN)).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => lanes.retain(|_, lane| !lane.is_empty()),
        }
        for task in taken.drain(..) {
            let Some((upstream, protocol)) = task.to() else { continue };
            let key = (upstream.id(), protocol);
            if !lanes.contains_key(&key) && lanes.len() >= LANES {
                lanes.retain(|_, lane| !lane.is_empty());
            }
            let lane =
                lanes.entry(key).or_insert_with(|| Lane::new(upstream.clone(), protocol, room.clone()));
            // One that is our undoing ends in a fault, as each task does that is dropped; the others go on.
            attempt("upstreams", || lane.take(task));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_thread_before_the_first_job() {
        let desk = Desk::new(DeskOptions::default(), Clock::system());
        assert!(desk.thread.lock().is_none());
    }
}
