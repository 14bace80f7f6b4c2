//! A socket of QUIC that takes datagrams one by one.
//!
//! The kernel would join those of one sender to as much as 64 KiB, for which the library keeps a room of 64 datagrams for each of 32 reads:
//! 3 MB of every listener and thread and of every connection to an upstream, written and never given back, and each piece of a
//! message would hold on to all 64 KiB that it came in. A message is one datagram nearly always; without the joining 46 KiB are enough.
#![allow(unsafe_code, reason = "the joining has no safe form")]

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller};

/// Has the kernel give out datagrams one by one, as they came: not those of one sender joined.
///
/// Errors: those of `setsockopt`, also where the kernel can't join them.
fn one_by_one(socket: BorrowedFd<'_>) -> io::Result<()> {
    let off: libc::c_int = 0;
    let length = libc::socklen_t::try_from(size_of_val(&off)).map_err(io::Error::other)?;
    // SAFETY: the kernel reads an int, whose address is given.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_GRO, (&raw const off).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The library's socket, of which only reading differs.
pub(crate) struct OneByOne {
    /// The library's.
    socket: Arc<dyn AsyncUdpSocket>,
    /// How many datagrams one read may bring.
    joined: usize,
}

impl OneByOne {
    /// Takes a socket. Errors: the kernel's.
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Arc<Self>> {
        let same = socket.try_clone()?;
        let socket = TokioRuntime.wrap_udp_socket(socket)?;
        // The library has just had them joined, where the kernel can; a kernel that refuses to stop keeps the room for it.
        let joined = if one_by_one(same.as_fd()).is_ok() { 1 } else { socket.max_receive_segments() };
        Ok(Arc::new(Self { socket, joined }))
    }
}

impl fmt::Debug for OneByOne {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(formatter)
    }
}

impl AsyncUdpSocket for OneByOne {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.joined
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}
