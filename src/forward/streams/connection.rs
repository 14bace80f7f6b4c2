//! A connection as its lane sees it: what it was given, how busy it is, and whether it still speaks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::upstream::UpstreamSpec;
use super::task::Task;
use crate::time::Tick;

/// The shortest pause between two looks at a connection that owes nothing.
const SOON: Duration = Duration::from_millis(5);

/// Where a connection is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// On its way: what it is given waits for that.
    Opening,
    /// There.
    Open,
    /// Takes nothing more, and ends with what it has.
    Leaving,
}

/// A connection. One thread has it; whoever talks on it is rung for.
pub(super) struct Connection {
    /// Where it is in its life.
    life: Cell<Life>,
    /// What it was given and did not take up yet.
    inbox: RefCell<VecDeque<Task>>,
    /// Rings when something is in the inbox, or its life changed.
    bell: Notify,
    /// Tasks given to it that have not ended.
    load: Cell<usize>,
    /// Since when it is there.
    opened: Cell<Tick>,
    /// When it was last heard of, or when it was first owed something since.
    heard: Cell<Tick>,
    /// Since when it is owed nothing.
    idle: Cell<Tick>,
    /// Replies so far.
    replies: Cell<u64>,
    /// Whether it was silent for too long, and has not been heard of since.
    doubted: Cell<bool>,
}

impl Connection {
    /// One on its way.
    pub(super) fn new(now: Tick) -> Self {
        Self {
            life: Cell::new(Life::Opening),
            inbox: RefCell::default(),
            bell: Notify::new(),
            load: Cell::new(0),
            opened: Cell::new(now),
            heard: Cell::new(now),
            idle: Cell::new(now),
            replies: Cell::new(0),
            doubted: Cell::new(false),
        }
    }

    /// Where it is in its life.
    pub(super) fn life(&self) -> Life {
        self.life.get()
    }

    /// It is there.
    pub(super) fn open(&self, now: Tick) {
        self.life.set(Life::Open);
        self.opened.set(now);
        self.heard.set(now);
        self.idle.set(now);
    }

    /// It takes nothing more.
    pub(super) fn leave(&self) {
        self.life.set(Life::Leaving);
        self.bell.notify_one();
    }

    /// Gives it a task.
    pub(super) fn give(&self, mut task: Task, now: Tick) {
        task.reused = self.life.get() == Life::Open;
        if self.load.get() == 0 {
            self.heard.set(now);
        }
        self.load.set(self.load.get() + 1);
        self.inbox.borrow_mut().push_back(task);
        self.bell.notify_one();
    }

    /// The next task to take up.
    pub(super) fn next(&self) -> Option<Task> {
        self.inbox.borrow_mut().pop_front()
    }

    /// Waits until something changed.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Tasks that have not ended.
    pub(super) fn load(&self) -> usize {
        self.load.get()
    }

    /// A task has ended.
    pub(super) fn ended(&self, now: Tick) {
        self.load.set(self.load.get().saturating_sub(1));
        if self.load.get() == 0 {
            self.idle.set(now);
        }
    }

    /// Something was heard of it.
    pub(super) fn heard(&self, now: Tick) {
        self.heard.set(now);
        self.doubted.set(false);
    }

    /// It brought a reply.
    pub(super) fn replied(&self) {
        self.replies.set(self.replies.get() + 1);
    }

    /// Replies so far.
    pub(super) fn replies(&self) -> u64 {
        self.replies.get()
    }

    /// Whether it owes something and was silent for `patience`: then others are better given to a fresh one.
    pub(super) fn doubtful(&self, patience: Duration, now: Tick) -> bool {
        if self.life.get() == Life::Open && self.load.get() > 0 && now.since(self.heard.get()) >= patience {
            self.doubted.set(true);
        }
        self.doubted.get()
    }

    /// Whether it may not be used for more (`max_age`).
    pub(super) fn aged(&self, spec: &UpstreamSpec, now: Tick) -> bool {
        !spec.max_age.is_zero()
            && self.life.get() == Life::Open
            && now.since(self.opened.get()) >= spec.max_age
    }

    /// How long it is kept if it is given nothing.
    pub(super) fn spare(&self, spec: &UpstreamSpec, now: Tick) -> Duration {
        let idle = spec.expire.saturating_sub(now.since(self.idle.get()));
        let age = match spec.max_age.is_zero() {
            true => Duration::MAX,
            false => spec.max_age.saturating_sub(now.since(self.opened.get())),
        };
        idle.min(age).max(SOON)
    }

    /// Whether it may end: it owes nothing, and is not wanted any more.
    pub(super) fn may_end(&self, spec: &UpstreamSpec, now: Tick) -> bool {
        self.load.get() == 0
            && (self.life.get() == Life::Leaving
                || self.doubted.get()
                || self.aged(spec, now)
                || now.since(self.idle.get()) >= spec.expire)
    }
}
