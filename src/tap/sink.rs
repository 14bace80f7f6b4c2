//! The thread that empties a queue.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::link::{Door, Link, connect};
use super::outlet::{Outlet, Side};
use crate::panics::{attempt, keep, turn};

/// The longest that a message waits for others to go with it. Source: coredns `plugin/dnstap/io.go`.
const GATHER: Duration = Duration::from_millis(200);

/// Pauses between attempts to connect: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// The most collectors that are served at one door.
const GUESTS: usize = 16;

/// A running thread; dropping it sends what waits, for a moment, and ends it.
pub struct Sink {
    /// The queue that it empties.
    outlet: Arc<Outlet>,
    /// The thread.
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts the thread of a queue.
    ///
    /// Errors: no thread can be had.
    pub fn start(outlet: Arc<Outlet>) -> io::Result<Self> {
        let own = outlet.clone();
        let empty = move || match own.spec().side {
            Side::Connect { .. } => send_out(&own),
            Side::Listen { .. } => hand_out(&own),
        };
        let thread =
            std::thread::Builder::new().name("dnstap".to_owned()).spawn(move || keep("dnstap", empty))?;
        Ok(Self { outlet, thread: Some(thread) })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.outlet.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Connects, sends, connects again.
fn send_out(outlet: &Outlet) {
    let mut pause = PAUSES.0;
    let mut told = false;
    loop {
        match connect(outlet.spec()) {
            Ok(link) => {
                if told {
                    tracing::info!(target: "plugin/dnstap", "{}: connected", outlet.spec().endpoint);
                }
                pause = PAUSES.0;
                match pump(outlet, link) {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(target: "plugin/dnstap", "{}: {error}", outlet.spec().endpoint);
                    }
                }
            }
            Err(fault) => {
                if !told {
                    tracing::warn!(
                        target: "plugin/dnstap",
                        "{}: no connection, it is tried again: {fault}",
                        outlet.spec().endpoint
                    );
                }
            }
        }
        told = true;
        if outlet.rest(pause) {
            // What waits has nowhere to go.
            outlet.drop_some(outlet.take(Duration::ZERO).map_or(0, |left| left.len()));
            return;
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Sends what comes until the end, or until the connection fails.
fn pump(outlet: &Outlet, mut link: Link) -> io::Result<()> {
    turn("dnstap");
    while let Some(mut messages) = outlet.take(GATHER) {
        let mut sent = 0;
        let failed = loop {
            let Some(message) = messages.front() else { break link.flush().err() };
            if let Err(error) = link.send(message) {
                break Some(error);
            }
            messages.pop_front();
            sent += 1;
        };
        match failed {
            None => {
                outlet.sent_some(sent);
                turn("dnstap");
            }
            Some(error) => {
                // What the connection held is lost; nobody knows how much of it arrived.
                outlet.drop_some(sent);
                outlet.put_back(messages);
                return Err(error);
            }
        }
    }
    link.close().or(Ok(()))
}

/// Serves those who come to the door.
fn hand_out(outlet: &Arc<Outlet>) {
    let mut told = false;
    let door = loop {
        match Door::open(outlet.spec()) {
            Ok(door) => break door,
            Err(fault) => {
                if !told {
                    tracing::error!(
                        target: "plugin/dnstap",
                        "{}: cannot be listened on, it is tried again: {fault}",
                        outlet.spec().endpoint
                    );
                }
                told = true;
            }
        }
        if outlet.rest(PAUSES.1) {
            return;
        }
    };
    let mut links: Vec<Link> = Vec::new();
    let fresh: Arc<Mutex<Vec<Option<Link>>>> = Arc::default();
    let mut opening = 0_usize;
    while let Some(messages) = outlet.take(GATHER) {
        while links.len() + opening < GUESTS
            && let Some(guest) = door.guest()
        {
            // Who is slow to open must not keep the others waiting.
            let arrived = fresh.clone();
            let opened = std::thread::Builder::new().name("dnstap".to_owned()).spawn(move || {
                let link = attempt("dnstap", || guest.receive());
                if let Some(Err(fault)) = &link {
                    tracing::warn!(target: "plugin/dnstap", "a collector that came is not served: {fault}");
                }
                arrived.lock().push(link.and_then(Result::ok));
            });
            opening += usize::from(opened.is_ok());
        }
        for link in fresh.lock().drain(..) {
            opening = opening.saturating_sub(1);
            links.extend(link);
        }
        serve(outlet, &mut links, &messages);
        outlet.set_open(!links.is_empty());
        turn("dnstap");
    }
    links.into_iter().for_each(|link| drop(link.close()));
}

/// Sends messages to all who listen; who does not take them is left.
fn serve(outlet: &Outlet, links: &mut Vec<Link>, messages: &VecDeque<Vec<u8>>) {
    if links.is_empty() || messages.is_empty() {
        return;
    }
    links.retain_mut(|link| {
        let sent = messages.iter().try_for_each(|message| link.send(message));
        match sent.and_then(|()| link.flush()) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(target: "plugin/dnstap", "a collector is left: {error}");
                false
            }
        }
    });
    match links.is_empty() {
        true => outlet.drop_some(messages.len()),
        false => outlet.sent_some(messages.len()),
    }
}
