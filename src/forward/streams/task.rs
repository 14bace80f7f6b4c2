//! A job in work: ends in exactly one arrival, whatever becomes of who works on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::super::network::{Arrival, Job, StreamFault};
use super::super::upstream::{Protocol, Upstream};
use super::fault::ours;
use crate::time::Tick;

/// A job in work.
pub(super) struct Task {
    /// The job; `None` once its arrival is on the way.
    job: Option<Job>,
    /// Whether it was given to a connection that had been opened for others.
    pub(super) reused: bool,
    /// Whether a connection died under it before.
    pub(super) retried: bool,
    /// How many tasks there are.
    under_way: Arc<AtomicUsize>,
}

impl Task {
    /// Takes a place among the tasks; gives the job back where there is none.
    pub(super) fn new(job: Job, under_way: &Arc<AtomicUsize>, most: usize) -> Result<Self, Job> {
        if under_way.fetch_add(1, Relaxed) >= most {
            under_way.fetch_sub(1, Relaxed);
            return Err(job);
        }
        Ok(Self { job: Some(job), reused: false, retried: false, under_way: under_way.clone() })
    }

    /// Whom to ask, and how.
    pub(super) fn to(&self) -> Option<(&Arc<Upstream>, Protocol)> {
        self.job.as_ref().map(|job| (&job.upstream, job.protocol))
    }

    /// The query as the worker wrote it.
    pub(super) fn query(&self) -> &[u8] {
        self.job.as_ref().map_or(&[], |job| &job.query)
    }

    /// How long it is waited for; zero once nobody does.
    pub(super) fn left(&self, now: Tick) -> Duration {
        self.job.as_ref().map_or(Duration::ZERO, |job| job.until.since(now))
    }

    /// Whether nobody waits for it any more.
    pub(super) fn over(&self, now: Tick) -> bool {
        self.left(now).is_zero()
    }

    /// Gives the reply back, under the id of the query.
    pub(super) fn answer(mut self, mut message: Vec<u8>) {
        if let Some(job) = self.job.take() {
            if let (Some(to), Some(from)) = (message.get_mut(..2), job.query.get(..2)) {
                to.copy_from_slice(from);
            }
            job.inlet.push(Arrival { ticket: job.ticket, result: Ok(message) });
        }
    }

    /// Says what went wrong.
    pub(super) fn fail(mut self, fault: StreamFault) {
        if let Some(job) = self.job.take() {
            refuse(job, fault);
        }
    }

    /// Drops it: its time has passed, and nobody waits.
    pub(super) fn forget(mut self) {
        self.job = None;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Relaxed);
        if let Some(job) = self.job.take() {
            refuse(job, ours("it was given up, which is a fault of ours"));
        }
    }
}

/// Ends a job with a fault.
pub(super) fn refuse(job: Job, fault: StreamFault) {
    job.inlet.push(Arrival { ticket: job.ticket, result: Err(fault) });
}
