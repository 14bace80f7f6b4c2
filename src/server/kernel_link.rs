//! The kernel's link: epoll over datagram sockets, listeners, streams and a wake-up.

use std::io::{self, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};

use rustix::event::{EventfdFlags, Timespec, epoll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::bind::Sockets;
use super::kernel::{Inbox, Outbox, Sent};
use super::link::{Accepted, Link, Ready, StreamId};
use super::pressure::{Pressure, Verdict};
use super::pulse::Pulse;
use crate::chain::Entry;
use crate::forward::Network;
use crate::metrics::Counters;
use crate::time::{Clock, Tick};

/// What an epoll event is about: the upper half of its data.
mod tag {
    /// A datagram socket.
    pub(super) const DATAGRAMS: u64 = 0;
    /// A listener.
    pub(super) const LISTENER: u64 = 1;
    /// A stream.
    pub(super) const STREAM: u64 = 2;
    /// The wake-up.
    pub(super) const WAKE: u64 = 3;
    /// A datagram socket to an upstream.
    pub(super) const UPSTREAM: u64 = 4;
}

/// The data of an epoll event.
fn data(tag: u64, index: usize) -> epoll::EventData {
    epoll::EventData::new_u64(tag << 32 | u64::try_from(index).unwrap_or(u64::from(u32::MAX)) & 0xffff_ffff)
}

/// Wakes a worker through an eventfd.
struct EventWaker(OwnedFd);

impl Wake for EventWaker {
    fn wake(self: Arc<Self>) {
        // Only fails when the counter is full, and then the worker is awake already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// A wake-up: the end that a link waits on, and the waker for everybody else.
///
/// Errors: those of `eventfd`.
pub fn wake_handle() -> io::Result<(OwnedFd, Waker)> {
    let event = rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
    let waker = Waker::from(Arc::new(EventWaker(event.try_clone()?)));
    Ok((event, waker))
}

/// A worker's sockets in the kernel.
pub struct KernelLink {
    /// Who says what is ready.
    epoll: OwnedFd,
    /// The clock.
    clock: Clock,
    /// Datagram sockets and listeners by their number; `None` for those that were closed.
    groups: Vec<Option<Sockets>>,
    /// Streams; a free place is `None`.
    streams: Vec<Option<TcpStream>>,
    /// Free places of `streams`.
    free: Vec<usize>,
    /// Datagram sockets to upstreams; a free place is `None`.
    upstreams: Vec<Option<OwnedFd>>,
    /// Free places of `upstreams`.
    free_upstreams: Vec<usize>,
    /// The wake-up.
    wake: OwnedFd,
    /// What becomes of queries where more come than can be answered.
    pressure: Pressure,
}

/// The most events of one wait.
const EVENTS: usize = 128;

impl KernelLink {
    /// A link without sockets yet.
    ///
    /// Errors: those of epoll.
    pub fn new(wake: OwnedFd, clock: Clock) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, data(tag::WAKE, 0), epoll::EventFlags::IN)?;
        Ok(Self {
            epoll,
            clock,
            groups: Vec::new(),
            streams: Vec::new(),
            free: Vec::new(),
            upstreams: Vec::new(),
            free_upstreams: Vec::new(),
            wake,
            pressure: Pressure::default(),
        })
    }

    /// The same, which counts here what it drops, and is told here whether the process stood still.
    #[must_use]
    pub fn counted(self, counters: Arc<Counters>, pulse: Arc<Pulse>) -> Self {
        Self { pressure: Pressure::new(counters, pulse), ..self }
    }

    /// What becomes readable when something is ready.
    ///
    /// Errors: no descriptors.
    pub fn readiness(&self) -> io::Result<OwnedFd> {
        self.epoll.try_clone()
    }

    /// The datagram socket with this number.
    fn datagrams(&self, number: usize) -> Option<&UdpSocket> {
        self.groups.get(number)?.as_ref()?.datagrams.as_ref()
    }

    /// The listener with this number.
    fn listener(&self, number: usize) -> Option<&TcpListener> {
        self.groups.get(number)?.as_ref()?.listener.as_ref()
    }

    /// A stream that is open.
    fn stream(&mut self, stream: StreamId) -> io::Result<&mut TcpStream> {
        self.streams
            .get_mut(stream.0)
            .and_then(Option::as_mut)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// Tells "not now" from an error.
fn not_now<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Network for KernelLink {
    fn open(&mut self, to: SocketAddr, from: Option<IpAddr>) -> io::Result<usize> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
        if let Some(from) = from {
            rustix::net::bind(&socket, &SocketAddr::new(from, 0))?;
        }
        // The kernel picks a port at random when an unbound socket is connected.
        rustix::net::connect(&socket, &to)?;
        let index = self.free_upstreams.pop().unwrap_or_else(|| {
            self.upstreams.push(None);
            self.upstreams.len() - 1
        });
        if let Err(error) =
            epoll::add(&self.epoll, &socket, data(tag::UPSTREAM, index), epoll::EventFlags::IN)
        {
            self.free_upstreams.push(index);
            return Err(error.into());
        }
        if let Some(place) = self.upstreams.get_mut(index) {
            *place = Some(socket);
        }
        Ok(index)
    }

    fn transmit(&mut self, socket: usize, bytes: &[u8]) -> io::Result<()> {
        let socket =
            self.upstreams.get(socket).and_then(Option::as_ref).ok_or(io::ErrorKind::NotConnected)?;
        rustix::net::send(socket, bytes, SendFlags::empty())?;
        Ok(())
    }

    fn take(&mut self, socket: usize, into: &mut [u8]) -> io::Result<Option<usize>> {
        let socket =
            self.upstreams.get(socket).and_then(Option::as_ref).ok_or(io::ErrorKind::NotConnected)?;
        let received = rustix::net::recv(socket, into, RecvFlags::empty());
        not_now(received.map(|(length, _)| length).map_err(io::Error::from))
    }

    fn shut(&mut self, socket: usize) {
        // Closing the descriptor also takes it out of the epoll set.
        if self.upstreams.get_mut(socket).and_then(Option::take).is_some() {
            self.free_upstreams.push(socket);
        }
    }
}

impl Link for KernelLink {
    type Sockets = Sockets;

    fn adopt(&mut self, sockets: Sockets) -> io::Result<usize> {
        let number = self.groups.len();
        self.pressure.adopt(number, sockets.datagrams.as_ref().map(AsFd::as_fd), &self.clock);
        if let Some(socket) = &sockets.datagrams {
            epoll::add(&self.epoll, socket, data(tag::DATAGRAMS, number), epoll::EventFlags::IN)?;
        }
        if let Some(listener) = &sockets.listener {
            epoll::add(&self.epoll, listener, data(tag::LISTENER, number), epoll::EventFlags::IN)?;
        }
        self.groups.push(Some(sockets));
        Ok(number)
    }

    fn equip(&mut self, number: usize, entry: &Entry) {
        self.pressure.equip(number, entry.proxy.is_some());
    }

    fn retire(&mut self, number: usize) {
        // Closing the descriptors also takes them out of the epoll set.
        if let Some(group) = self.groups.get_mut(number) {
            group.take();
        }
    }

    fn now(&self) -> Tick {
        self.clock.now()
    }

    fn wait(&mut self, until: Option<Tick>, ready: &mut Vec<Ready>) {
        ready.clear();
        let until = until.into_iter().chain(self.pressure.due()).min();
        let timeout = until.map(|until| {
            let left = until.since(self.clock.now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        // An interrupted wait lists nothing: the caller goes round.
        let waited = epoll::wait(&self.epoll, &mut events, timeout.as_ref());
        if self.pressure.due().is_some() {
            let groups = &self.groups;
            let socket = |number: usize| groups.get(number)?.as_ref()?.datagrams.as_ref().map(AsFd::as_fd);
            self.pressure.tend(self.clock.now(), socket);
        }
        let Ok((events, _)) = waited else { return };
        for event in events.iter() {
            let data = event.data.u64();
            let index = usize::try_from(data & 0xffff_ffff).unwrap_or(usize::MAX);
            ready.push(match data >> 32 {
                tag::DATAGRAMS => Ready::Datagrams(index),
                tag::LISTENER => Ready::Connections(index),
                tag::STREAM => Ready::Stream(StreamId(index)),
                tag::UPSTREAM => Ready::Upstream(index),
                _ => {
                    let mut counter = [0_u8; 8];
                    let _ = rustix::io::read(&self.wake, &mut counter);
                    Ready::Woken
                }
            });
        }
    }

    fn receive(&mut self, socket: usize, inbox: &mut Inbox) -> io::Result<usize> {
        let number = socket;
        let datagrams = self.groups.get(number).and_then(|group| group.as_ref()?.datagrams.as_ref());
        let Some(socket) = datagrams.map(AsFd::as_fd) else { return Err(io::ErrorKind::NotConnected.into()) };
        loop {
            let count = inbox.receive(socket).inspect_err(|_| self.pressure.emptied(number))?;
            if self.pressure.batch(number, socket, inbox, &self.clock) == Verdict::Answer {
                return Ok(count);
            }
        }
    }

    fn send(&mut self, socket: usize, outbox: &mut Outbox) -> Sent {
        match self.datagrams(socket) {
            Some(socket) => outbox.send(socket.as_fd()),
            None => {
                let refused = outbox.len();
                outbox.clear();
                Sent { taken: 0, refused }
            }
        }
    }

    fn accept(&mut self, listener: usize) -> io::Result<Option<Accepted>> {
        let Some(listener) = self.listener(listener) else { return Ok(None) };
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        // Replies are whole messages: waiting to fill a segment only delays them.
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr()?.ip();
        let index = self.free.pop().unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() - 1
        });
        if let Err(error) = epoll::add(&self.epoll, &stream, data(tag::STREAM, index), epoll::EventFlags::IN)
        {
            self.free.push(index);
            return Err(error.into());
        }
        if let Some(place) = self.streams.get_mut(index) {
            *place = Some(stream);
        }
        Ok(Some(Accepted { stream: StreamId(index), peer, local }))
    }

    fn listen(&mut self, listener: usize, on: bool) {
        if let Some(socket) = self.listener(listener) {
            let flags = if on { epoll::EventFlags::IN } else { epoll::EventFlags::empty() };
            let _ = epoll::modify(&self.epoll, socket, data(tag::LISTENER, listener), flags);
        }
    }

    fn read(&mut self, stream: StreamId, into: &mut [u8]) -> io::Result<Option<usize>> {
        not_now(self.stream(stream)?.read(into))
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8]) -> io::Result<Option<usize>> {
        not_now(self.stream(stream)?.write(bytes))
    }

    fn interest(&mut self, stream: StreamId, read: bool, write: bool) {
        if let Some(Some(socket)) = self.streams.get(stream.0) {
            let mut flags = epoll::EventFlags::empty();
            flags.set(epoll::EventFlags::IN, read);
            flags.set(epoll::EventFlags::OUT, write);
            let _ = epoll::modify(&self.epoll, socket, data(tag::STREAM, stream.0), flags);
        }
    }

    fn finish(&mut self, stream: StreamId) {
        if let Ok(stream) = self.stream(stream) {
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    fn close(&mut self, stream: StreamId) {
        // Closing the descriptor also takes it out of the epoll set.
        if self.streams.get_mut(stream.0).and_then(Option::take).is_some() {
            self.free.push(stream.0);
        }
    }
}
