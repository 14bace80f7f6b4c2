//! A worker: one thread's loop over its link, its desk and its streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::kernel::{BATCH, Envelope, Inbox, Outbox};
use super::link::{Link, Ready, StreamId};
use super::proxies::Proxies;
use super::stream::{Admission, Answerer, StreamLimits, StreamReturn, Streams};
use crate::chain::{Client, Outcome, Pipeline, PipelineOptions, Plan, Socket, Timeouts, Transfer, Transport};
use crate::corefile::Transport as Scheme;
use crate::metrics::Counters;
use crate::panics::keep;
use crate::time::Tick;
use crate::wire::MAX_MESSAGE;

/// After so many batches of one socket the loop looks elsewhere.
const BATCHES: usize = 4;

/// How many connections are taken at once.
const ACCEPTS: usize = 64;

/// How long a listener rests after the process ran out of descriptors.
const REST: Duration = Duration::from_millis(100);

/// How long queries that wait and streams that are owed replies may take at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Where the server is in its life; shared by all workers.
#[derive(Default, Debug)]
pub struct Phase(AtomicU8);

impl Phase {
    /// Says that no more queries should come: those that do are late, and answered.
    pub fn leave(&self) {
        self.0.fetch_max(1, Ordering::Release);
    }

    /// Asks the workers to empty their sockets, answer what waits, and end.
    pub fn drain(&self) {
        self.0.fetch_max(2, Ordering::Release);
    }

    /// Whether no more queries should come.
    #[must_use]
    pub fn leaving(&self) -> bool {
        self.0.load(Ordering::Acquire) >= 1
    }

    /// Whether the workers were asked to end.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.0.load(Ordering::Acquire) == 2
    }
}

/// What a worker is told to do with its sockets while it runs.
pub enum Order<S> {
    /// Serve these sockets; the name is what the plan calls them.
    Adopt(Socket, S),
    /// Empty and close the sockets of this name.
    Retire(Socket),
}

/// Orders that wait for a worker, which is woken after they are put here.
pub type Orders<S> = Arc<Mutex<Vec<Order<S>>>>;

/// Where a reply goes.
enum ReturnTo {
    /// To the sender of a datagram.
    Datagram {
        /// The socket that took it.
        socket: usize,
        /// Its envelope.
        envelope: Envelope,
    },
    /// To a stream.
    Stream(StreamReturn),
    /// To whoever asked on its own.
    Asker(oneshot::Sender<Option<Vec<u8>>>),
}

/// What became of a query that was asked with `Worker::ask`.
pub(super) enum Given {
    /// The reply.
    Reply(Vec<u8>),
    /// There will be none.
    Silent,
    /// The reply comes here, or `None` where there will be none.
    Later(oneshot::Receiver<Option<Vec<u8>>>),
}

/// What a worker is made of.
pub struct WorkerOptions<S> {
    /// Where orders come.
    pub orders: Orders<S>,
    /// The desk.
    pub pipeline: PipelineOptions,
    /// What the plan calls each socket group.
    pub groups: Vec<Socket>,
    /// The bounds of streams.
    pub stream: StreamLimits,
    /// Where the server is in its life.
    pub phase: Arc<Phase>,
}

/// A worker.
pub struct Worker<L: Link> {
    /// Where orders come.
    orders: Orders<L::Sockets>,
    /// The sockets.
    link: L,
    /// The desk.
    desk: Desk,
    /// Streams.
    streams: Streams,
    /// The batch that came.
    inbox: Inbox,
    /// The batch that goes.
    outbox: Outbox,
    /// What is ready.
    ready: Vec<Ready>,
    /// Listeners that rest, and until when.
    resting: Vec<(usize, Tick)>,
    /// Where the server is in its life.
    phase: Arc<Phase>,
    /// When draining must be over.
    drained_by: Option<Tick>,
    /// How many queries there were when late ones began.
    punctual: Option<u64>,
    /// Where replies to `ask` are assembled.
    reply: Vec<u8>,
}

/// The pipeline with what ties sockets to the plan.
struct Desk {
    /// The pipeline.
    pipeline: Pipeline<ReturnTo>,
    /// What the plan calls each socket group; `None` for one that was closed.
    groups: Vec<Option<Socket>>,
    /// What is spoken on the streams of each socket group, those that were closed included.
    transports: Vec<Transport>,
    /// The plan's listener of each socket group; out of range where the plan has none.
    listeners: Vec<usize>,
    /// Who may tell the addresses of clients, by socket group.
    proxies: Proxies,
    /// The counters.
    counters: Arc<Counters>,
}

impl Desk {
    /// Counts replies of a socket that the kernel refused to send.
    fn refused(&self, socket: usize, count: u64) {
        self.counters.send_refused.add(count);
        let plan = self.pipeline.plan();
        if let Some(shed) = plan.listeners.get(self.listener(socket)).and_then(|here| here.shed.as_ref()) {
            shed.replies.add(self.pipeline.worker(), count);
        }
    }

    /// Takes a new plan, if there is one, and looks up the groups in it.
    fn refresh(&mut self, link: &mut impl Link) {
        if self.pipeline.refresh() || self.listeners.is_empty() {
            let plan = self.pipeline.plan();
            self.listeners = self
                .groups
                .iter()
                .map(|group| {
                    let listener = plan.listeners.iter().position(|known| Some(known.socket()) == *group);
                    listener.unwrap_or(usize::MAX)
                })
                .collect();
            for (number, listener) in self.listeners.iter().enumerate() {
                if let Some(listener) = plan.listeners.get(*listener) {
                    link.equip(number, &listener.entry);
                    self.proxies.equip(number, listener.entry.proxy.as_ref());
                }
            }
        }
    }

    /// Notes what is spoken on the streams of a group.
    fn note(&mut self, number: usize, socket: Socket) {
        if self.transports.len() <= number {
            self.transports.resize(number + 1, Transport::Tcp);
        }
        if let Some(transport) = self.transports.get_mut(number) {
            *transport = if socket.scheme == Scheme::Tls { Transport::Tls } else { Transport::Tcp };
        }
    }
}

impl Answerer for Desk {
    fn answer(
        &mut self,
        bytes: &[u8],
        client: Client,
        to: StreamReturn,
        now: Tick,
        out: &mut [u8],
    ) -> Outcome {
        self.pipeline.answer(bytes, client, ReturnTo::Stream(to), now, out)
    }

    fn transfer(&mut self) -> Option<Box<Transfer>> {
        self.pipeline.transfer()
    }

    fn listener(&self, group: usize) -> usize {
        self.listeners.get(group).copied().unwrap_or(usize::MAX)
    }

    fn timeouts(&self, group: usize) -> Timeouts {
        let listener = self.pipeline.plan().listeners.get(self.listener(group));
        listener.map_or_else(Timeouts::default, |listener| listener.timeouts)
    }

    fn transport(&self, group: usize) -> Transport {
        self.transports.get(group).copied().unwrap_or(Transport::Tcp)
    }
}

impl<L: Link> Worker<L> {
    /// A worker on `link`, whose sockets are those of `options.groups` in order.
    pub fn new(mut link: L, options: WorkerOptions<L::Sockets>) -> Self {
        let counters = options.pipeline.counters.clone();
        let mut desk = Desk {
            pipeline: Pipeline::new(options.pipeline),
            groups: options.groups.iter().copied().map(Some).collect(),
            transports: Vec::new(),
            listeners: Vec::new(),
            proxies: Proxies::default(),
            counters,
        };
        for (number, socket) in options.groups.into_iter().enumerate() {
            desk.note(number, socket);
        }
        desk.refresh(&mut link);
        let streams = Streams::new(options.stream, desk.counters.clone());
        Self {
            orders: options.orders,
            link,
            desk,
            streams,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            ready: Vec::new(),
            resting: Vec::new(),
            phase: options.phase,
            drained_by: None,
            punctual: None,
            reply: Vec::new(),
        }
    }

    /// Serves until the server drains and everything is answered.
    ///
    /// After a panic outside of any query the loop begins anew: sockets must not be left with nobody to read them.
    pub fn run(&mut self) {
        keep("worker", || {
            while !self.finished() {
                self.turn();
            }
        });
    }

    /// The link, for tests that play the world.
    pub fn link(&mut self) -> &mut L {
        &mut self.link
    }

    /// How many queries wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.desk.pipeline.waiting()
    }

    /// How many queries beyond the bound may wait now.
    #[cfg(test)]
    pub(super) fn beyond(&self) -> usize {
        self.desk.pipeline.beyond()
    }

    /// Answers a message that did not come over the link.
    ///
    /// Cost: one copy of the reply.
    pub(super) fn ask(&mut self, bytes: &[u8], client: Client) -> Given {
        self.desk.refresh(&mut self.link);
        let now = self.link.now();
        let (sender, receiver) = oneshot::channel();
        if self.reply.is_empty() {
            self.reply.resize(MAX_MESSAGE, 0);
        }
        let to = ReturnTo::Asker(sender);
        match self.desk.pipeline.answer(bytes, client, to, now, &mut self.reply) {
            Outcome::Reply(length) => Given::Reply(self.reply.get(..length).unwrap_or_default().to_vec()),
            Outcome::Silent => Given::Silent,
            // Such transports carry no zones; what was begun ends here.
            Outcome::Begun(_) => {
                drop(self.desk.pipeline.transfer());
                Given::Silent
            }
            Outcome::Waiting => {
                self.desk.pipeline.drive(&mut self.link, now);
                Given::Later(receiver)
            }
        }
    }

    /// The plan in force.
    pub(super) fn plan(&mut self) -> Arc<Plan> {
        self.desk.refresh(&mut self.link);
        self.desk.pipeline.plan().clone()
    }

    /// The moment now.
    pub(super) fn now(&self) -> Tick {
        self.link.now()
    }

    /// Whether the worker has drained: sockets empty, nothing waits, no stream is owed anything, or the time for it is up.
    pub(super) fn finished(&mut self) -> bool {
        if !self.phase.draining() {
            return false;
        }
        let now = self.link.now();
        let by = *self.drained_by.get_or_insert(now.plus(DRAIN));
        // What is in the sockets now was sent while we were still there.
        for group in 0..self.desk.groups.len() {
            self.connections(group, now);
            while self.datagrams(group) {}
        }
        for id in self.streams.all() {
            self.streams.advance(&mut self.link, id, now, &mut self.desk);
        }
        self.streams.close_idle(&mut self.link);
        self.count_late();
        (self.waiting() == 0 && self.streams.len() == 0) || now >= by
    }

    /// One turn of the loop: waits for something, does it all.
    pub fn turn(&mut self) {
        let until = self.next();
        self.turn_until(until);
    }

    /// When something falls due; `None` where nothing does.
    pub(super) fn next(&self) -> Option<Tick> {
        let deadlines = [
            self.desk.pipeline.next_deadline(),
            self.streams.next_deadline(),
            self.resting.iter().map(|(_, until)| *until).min(),
            self.drained_by.map(|by| by.min(self.link.now().plus(REST))),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// One turn that waits no longer than `until`; says whether anything was ready.
    pub(super) fn turn_until(&mut self, until: Option<Tick>) -> bool {
        let mut ready = std::mem::take(&mut self.ready);
        self.link.wait(until, &mut ready);
        let any = !ready.is_empty();
        if self.punctual.is_none() && self.phase.leaving() {
            self.punctual = Some(self.desk.counters.answerable());
        }
        if ready.contains(&Ready::Woken) {
            self.obey();
        }
        self.desk.refresh(&mut self.link);
        let mut woken = false;
        // Those who wait longest first.
        for &event in &ready {
            if let Ready::Upstream(socket) = event {
                let now = self.link.now();
                self.desk.pipeline.readable(socket, &mut self.link, now);
            }
        }
        for &event in &ready {
            match event {
                Ready::Datagrams(socket) => {
                    for _ in 0..BATCHES {
                        if !self.datagrams(socket) {
                            break;
                        }
                    }
                }
                Ready::Connections(group) => self.connections(group, self.link.now()),
                Ready::Stream(id) => {
                    let now = self.link.now();
                    self.streams.advance(&mut self.link, id, now, &mut self.desk);
                }
                Ready::Upstream(_) => {}
                Ready::Woken => woken = true,
            }
        }
        self.ready = ready;
        let now = self.link.now();
        self.desk.pipeline.drive(&mut self.link, now);
        if self.waiting() > 0 {
            self.resume(now, woken);
            // What was asked on behalf of those that went on.
            self.desk.pipeline.drive(&mut self.link, now);
        }
        self.streams.expire(&mut self.link, now);
        let link = &mut self.link;
        self.resting.retain(|&(listener, until)| {
            if until <= now {
                link.listen(listener, true);
            }
            until > now
        });
        self.count_late();
        any
    }

    /// Counts what came since no more queries should come. Cost: one branch a turn until then.
    fn count_late(&self) {
        if let Some(punctual) = self.punctual {
            let counters = &self.desk.counters;
            let late = counters.answerable().saturating_sub(punctual);
            counters.late_queries.add(late.saturating_sub(counters.late_queries.read()));
        }
    }

    /// Does what was ordered. Sockets that go are emptied first, under the plan that they belong to.
    fn obey(&mut self) {
        let orders = std::mem::take(&mut *self.orders.lock());
        for order in orders {
            self.carry_out(order);
        }
    }

    /// Carries out one order.
    pub(super) fn carry_out(&mut self, order: Order<L::Sockets>) {
        {
            match order {
                Order::Adopt(wanted, sockets) => match self.link.adopt(sockets) {
                    Ok(number) => {
                        if self.desk.groups.len() <= number {
                            self.desk.groups.resize(number + 1, None);
                        }
                        if let Some(group) = self.desk.groups.get_mut(number) {
                            *group = Some(wanted);
                        }
                        self.desk.note(number, wanted);
                        self.desk.listeners.clear();
                    }
                    Err(error) => {
                        let Socket { scheme, addr } = wanted;
                        tracing::error!(
                            %error, "listening on {scheme}://{addr}: a worker could not take the sockets"
                        );
                    }
                },
                Order::Retire(wanted) => {
                    let Some(number) = self.desk.groups.iter().position(|group| *group == Some(wanted))
                    else {
                        return;
                    };
                    self.connections(number, self.link.now());
                    while self.datagrams(number) {}
                    self.link.retire(number);
                    if let Some(group) = self.desk.groups.get_mut(number) {
                        *group = None;
                    }
                }
            }
        }
    }

    /// Answers one batch of a datagram socket; false when nothing more waits there.
    fn datagrams(&mut self, socket: usize) -> bool {
        // An error reported on the socket (an ICMP message, for one) is no reason to stop reading: it is gone now.
        let Ok(count) = self.link.receive(socket, &mut self.inbox) else { return false };
        let now = self.link.now();
        let listener = self.desk.listener(socket);
        if count > 1 {
            (0..count).for_each(|index| self.desk.pipeline.foresee(self.inbox.bytes(index)));
        }
        for index in 0..count {
            let envelope = self.inbox.envelope(index);
            // Port 0 cannot be answered, and another family cannot have come (W56).
            let Some(addr) = envelope.peer().filter(|addr| addr.port() != 0) else { continue };
            let bytes = self.inbox.bytes(index);
            let Some((addr, bytes)) = self.desk.proxies.unwrap(socket, addr, bytes, now) else { continue };
            let client = Client {
                addr,
                local: envelope.local(),
                transport: Transport::Udp,
                listener,
                size: bytes.len(),
            };
            let to = ReturnTo::Datagram { socket, envelope };
            if let Outcome::Reply(length) =
                self.desk.pipeline.answer(bytes, client, to, now, self.outbox.next_slot())
            {
                self.outbox.commit(length, &envelope);
            }
        }
        self.flush(socket);
        count == BATCH
    }

    /// Sends what is in the outbox.
    fn flush(&mut self, socket: usize) {
        if !self.outbox.is_empty() {
            let sent = self.link.send(socket, &mut self.outbox);
            if sent.refused > 0 {
                self.desk.refused(socket, u64::try_from(sent.refused).unwrap_or(0));
            }
        }
    }

    /// Takes the connections that wait.
    fn connections(&mut self, group: usize, now: Tick) {
        for _ in 0..ACCEPTS {
            match self.link.accept(group) {
                Ok(Some(accepted)) => {
                    let id = accepted.stream;
                    let timeouts = self.desk.timeouts(group);
                    match self.streams.admit(&mut self.link, accepted, (group, timeouts), now) {
                        Admission::Taken => {
                            self.desk.counters.connections.add(1);
                            // Nearly always the query is there already.
                            self.streams.advance(&mut self.link, id, now, &mut self.desk);
                        }
                        Admission::Refused => self.desk.counters.connections_refused.add(1),
                    }
                }
                Ok(None) => break,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of descriptors or memory: the listener rests instead of spinning.
                    tracing::warn!(%error, "taking a connection failed; the listener rests for {REST:?}");
                    self.link.listen(group, false);
                    self.resting.push((group, now.plus(REST)));
                    break;
                }
            }
        }
    }

    /// Goes on with queries that waited.
    fn resume(&mut self, now: Tick, woken: bool) {
        let Self { link, desk, streams, outbox, .. } = self;
        let mut refused: Vec<(usize, u64)> = Vec::new();
        let mut socket_in_hand = 0;
        let mut freed = false;
        let mut send_all = |socket: usize, outbox: &mut Outbox, link: &mut L| {
            if !outbox.is_empty() {
                let sent = link.send(socket, outbox);
                if sent.refused > 0 {
                    refused.push((socket, u64::try_from(sent.refused).unwrap_or(0)));
                }
            }
        };
        desk.pipeline.poll(now, woken, |to, reply| match to {
            ReturnTo::Datagram { socket, envelope } => {
                if socket != socket_in_hand || outbox.is_full() {
                    send_all(socket_in_hand, outbox, link);
                    socket_in_hand = socket;
                }
                if let Some(reply) = reply
                    && let Some(slot) = outbox.next_slot().get_mut(..reply.len())
                {
                    slot.copy_from_slice(reply);
                    outbox.commit(reply.len(), &envelope);
                }
            }
            ReturnTo::Stream(to) => {
                freed = true;
                if !streams.deliver(link, to, reply, now) {
                    desk.counters.orphaned.add(1);
                }
            }
            ReturnTo::Asker(to) => {
                if to.send(reply.map(<[u8]>::to_vec)).is_err() {
                    desk.counters.orphaned.add(1);
                }
            }
        });
        send_all(socket_in_hand, outbox, link);
        for (socket, count) in refused {
            desk.refused(socket, count);
        }
        if freed {
            let unblocked: Vec<StreamId> = streams.unblocked();
            for id in unblocked {
                streams.take_up(link, id, now, desk);
            }
        }
    }
}
