//! Starting and ending a source: one thread, one event loop, a reflector for each kind.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::task::LocalSet;

use super::Timing;
use super::access::{Access, Connection};
use super::audit::{AuditOptions, Auditor};
use super::dial::Dial;
use super::feed::Feed;
use super::reflect::{Reflector, ReflectorOptions};
use super::throttle::ThrottleOptions;
use super::track::Track;
use crate::metrics::ClusterCounts;
use crate::panics::{keep, kept, turn};
use crate::source::Selector;
use crate::store::change::{Kind, Sink};

/// What is read from an API server, and how.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where it is.
    pub access: Access,
    /// `labels` (rule K-208).
    pub labels: Option<Selector>,
    /// Whether EndpointSlices are wanted.
    pub endpoints: bool,
    /// Whether Pods are wanted.
    pub pods: bool,
    /// The kinds wanted beside those, Services and Namespaces.
    pub more: Vec<Kind>,
    /// How many requests it gets.
    pub throttle: ThrottleOptions,
    /// How long things may take.
    pub timing: Timing,
    /// Where requests, lists and failures are counted.
    pub counts: Arc<ClusterCounts>,
    /// How often each kind is audited; `None` for never (rule K-271).
    pub audit: Option<Duration>,
    /// A number that differs from replica to replica, so that their audits don't come together.
    pub replica: u64,
    /// Seed of the jitter.
    pub seed: u64,
}

/// A running source; dropping it ends it.
pub struct Cluster {
    /// Ends the thread.
    end: tokio::sync::watch::Sender<bool>,
    /// The thread.
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Starts to list and watch into `sink`.
    ///
    /// Errors: no thread or no event loop; an API server that is away is none.
    pub fn start(options: ClusterOptions, sink: Box<dyn Sink + Send>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (end, ends) = tokio::sync::watch::channel(false);
        let thread = std::thread::Builder::new().name("cluster".to_owned()).spawn(move || {
            // The way to the store outlives a panic; all kinds are listed anew then.
            let feed = Rc::new(Feed::new(sink));
            keep("cluster", || {
                let life = reflect(options.clone(), feed.clone(), ends.clone(), None);
                LocalSet::new().block_on(&runtime, life);
            });
            // Connections that are being made now are not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { end, thread: Some(thread) })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs a reflector for each kind until told to end, on the `LocalSet` that this runs on; `dial` makes the connections, where
/// the kernel does not. One that panics is started again (RELIABILITY P11).
pub async fn watch(
    options: ClusterOptions,
    sink: Box<dyn Sink + Send>,
    ends: tokio::sync::watch::Receiver<bool>,
    dial: Option<Arc<dyn Dial>>,
) {
    reflect(options, Rc::new(Feed::new(sink)), ends, dial).await;
}

/// The same into a feed that there is.
async fn reflect(
    options: ClusterOptions,
    feed: Rc<Feed>,
    mut ends: tokio::sync::watch::Receiver<bool>,
    dial: Option<Arc<dyn Dial>>,
) {
    turn("cluster");
    let connection =
        Connection::new(options.access.clone(), options.throttle, options.timing, options.counts.clone());
    let connection = Rc::new(connection.over(dial));
    let mut kinds = vec![Kind::Services, Kind::Namespaces];
    if options.endpoints {
        kinds.push(Kind::EndpointSlices);
    }
    if options.pods {
        kinds.push(Kind::Pods);
    }
    kinds.extend(&options.more);
    let settled = feed.clone();
    tokio::task::spawn_local(kept("feed", move || {
        let settled = settled.clone();
        async move { settled.settle().await }
    }));
    let tracks: Vec<(Kind, Rc<Track>)> = kinds.iter().map(|kind| (*kind, Rc::default())).collect();
    if let Some(interval) = options.audit {
        let (connection, feed, tracks) = (connection.clone(), feed.clone(), tracks.clone());
        let (labels, timing, replica) = (options.labels.clone(), options.timing, options.replica);
        tokio::task::spawn_local(kept("audit", move || {
            let audit = AuditOptions { interval, labels: labels.clone(), timing, replica };
            Auditor::new(audit, connection.clone(), feed.clone(), tracks.clone()).run()
        }));
    }
    for ((kind, track), seed) in tracks.into_iter().zip(options.seed..) {
        let (connection, feed) = (connection.clone(), feed.clone());
        let (labels, timing) = (options.labels.clone(), options.timing);
        tokio::task::spawn_local(kept("watch", move || {
            let options =
                ReflectorOptions { kind, labels: labels.clone(), timing, track: track.clone(), seed };
            Reflector::new(options, connection.clone(), feed.clone()).run()
        }));
    }
    // An error means that the owner is gone, which is the same.
    let _ = ends.wait_for(|ended| *ended).await;
}
