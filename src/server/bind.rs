//! Binding: the sockets of each address, as many of them as there are threads to serve it, all or nothing.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

use super::kernel;
use crate::chain::Socket;
use crate::corefile::Transport as Scheme;

/// Why an address cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port.
    #[error("{addr} ({protocol}) is in use by another process")]
    Taken {
        /// The address.
        addr: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
    },
    /// Ports below 1024 need a right.
    #[error(
        "no right to listen on {addr}: use a port from 1024 on (-p), run as root, or set the sysctl net.ipv4.ip_unprivileged_port_start to 0 (in a pod: securityContext.sysctls)"
    )]
    Forbidden {
        /// The address.
        addr: SocketAddr,
    },
    /// The address is not one of this machine's.
    #[error("{addr} is not an address of this machine")]
    NotOurs {
        /// The address.
        addr: SocketAddr,
    },
    /// Anything else.
    #[error("listening on {addr} ({protocol})")]
    Other {
        /// The address.
        addr: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

/// The sockets of one address that one thread serves.
#[derive(Debug)]
pub struct Sockets {
    /// The datagram socket, where the scheme has one.
    pub datagrams: Option<UdpSocket>,
    /// The listener, where the scheme has one.
    pub listener: Option<TcpListener>,
}

/// The sockets of one address.
pub struct Group {
    /// What the plan asked for.
    pub wanted: Socket,
    /// What was bound: the port is known.
    pub addr: SocketAddr,
    /// One for each thread.
    pub sockets: Vec<Sockets>,
}

/// What became of an address.
pub enum Bound {
    /// It is served.
    Yes(Group),
    /// The kernel has no IPv6: the address is left out.
    NoIpv6(Socket),
}

/// Receive buffer that is asked for; the kernel may give less. Unit: bytes.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What the kernel keeps of replies that a peer of a stream has not taken (rule S-53); the kernel doubles it for its own needs.
/// Left to itself it keeps megabytes. Unit: bytes.
const STREAM_BUFFER: usize = 64 * 1024;

/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;

/// How often another free port is tried when any will do.
const TRIES: usize = 32;

/// Whether a scheme needs a datagram socket, and whether a listener.
fn kinds(scheme: Scheme) -> (bool, bool) {
    match scheme {
        Scheme::Dns => (true, true),
        Scheme::Tls | Scheme::Https | Scheme::Grpc => (false, true),
        Scheme::Https3 | Scheme::Quic => (true, false),
    }
}

/// Whether two addresses stand in each other's way: one port, and one address or all of its family.
fn shares(one: SocketAddr, other: SocketAddr) -> bool {
    let same = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && one.is_ipv4() == other.is_ipv4() && same
}

/// Binds one address for `threads` threads.
///
/// First a socket without `SO_REUSEPORT` is bound and closed, so that a port which another process has is an error and
/// not silently shared; but not where one of `gone` has the port, those of ours that are given up once this one serves. With
/// port 0 a port is chosen that is free for both protocols.
///
/// Errors: `BindError`.
pub fn bind(socket: Socket, threads: usize, gone: &[Socket]) -> Result<Bound, BindError> {
    let addr = socket.addr;
    let tries = if addr.port() == 0 { TRIES } else { 1 };
    let mut last = None;
    for _ in 0..tries {
        match bind_once(socket, threads, gone) {
            Ok(group) => return Ok(Bound::Yes(group)),
            Err((_, Errno::AFNOSUPPORT)) if addr.is_ipv6() => return Ok(Bound::NoIpv6(socket)),
            Err((_, Errno::ADDRNOTAVAIL)) if addr.is_ipv6() && addr.ip().is_loopback() => {
                return Ok(Bound::NoIpv6(socket));
            }
            Err((protocol, errno)) => last = Some(explain(addr, protocol, errno)),
        }
    }
    Err(last.unwrap_or(BindError::Taken { addr, protocol: "udp" }))
}

/// Turns what the kernel says into what a person can act on.
fn explain(addr: SocketAddr, protocol: &'static str, errno: Errno) -> BindError {
    match errno {
        Errno::ADDRINUSE => BindError::Taken { addr, protocol },
        Errno::ACCESS | Errno::PERM => BindError::Forbidden { addr },
        Errno::ADDRNOTAVAIL => BindError::NotOurs { addr },
        other => BindError::Other { addr, protocol, source: other.into() },
    }
}

/// One try, with the protocol that failed.
fn bind_once(wanted: Socket, threads: usize, gone: &[Socket]) -> Result<Group, (&'static str, Errno)> {
    let udp = |errno| ("udp", errno);
    let tcp = |errno| ("tcp", errno);
    let (datagrams, listener) = kinds(wanted.scheme);
    let mut addr = wanted.addr;
    let mut probes = Vec::new();
    let ours = |kind: fn(Scheme) -> bool| gone.iter().any(|old| kind(old.scheme) && shares(old.addr, addr));
    let (held_datagrams, held_listener) = (ours(|scheme| kinds(scheme).0), ours(|scheme| kinds(scheme).1));
    if datagrams && !held_datagrams {
        let probe = open(addr, SocketType::DGRAM, false).map_err(udp)?;
        addr = local(&probe).map_err(udp)?;
        probes.push(probe);
    }
    if listener && !held_listener {
        let probe = open(addr, SocketType::STREAM, false).map_err(tcp)?;
        addr = local(&probe).map_err(tcp)?;
        probes.push(probe);
    }
    drop(probes);
    let mut sockets = Vec::new();
    for _ in 0..threads {
        let datagrams = datagrams.then(|| open_datagrams(addr, wanted.scheme)).transpose().map_err(udp)?;
        let listener = listener.then(|| open_listener(addr)).transpose().map_err(tcp)?;
        sockets.push(Sockets { datagrams, listener });
    }
    Ok(Group { wanted, addr, sockets })
}

/// A datagram socket that shares its port.
fn open_datagrams(addr: SocketAddr, scheme: Scheme) -> Result<UdpSocket, Errno> {
    let socket = open(addr, SocketType::DGRAM, true)?;
    // Best effort: the kernel's limit may be lower.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
    // The library of QUIC asks for it itself.
    if scheme == Scheme::Dns && addr.ip().is_unspecified() {
        kernel::tell_local_address(socket.as_fd(), addr.is_ipv6())
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))?;
    }
    Ok(socket.into())
}

/// A listener that shares its port.
fn open_listener(addr: SocketAddr) -> Result<TcpListener, Errno> {
    let socket = open(addr, SocketType::STREAM, true)?;
    // Its connections have it from here; a refusal is no reason not to serve.
    let _ = sockopt::set_socket_send_buffer_size(&socket, STREAM_BUFFER);
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Opens and binds one socket, non-blocking.
fn open(addr: SocketAddr, kind: SocketType, shared: bool) -> Result<OwnedFd, Errno> {
    let family = if addr.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if kind == SocketType::STREAM {
        // Connections of an earlier process that are still closing do not keep the port.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if shared {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    rustix::net::bind(&socket, &addr)?;
    if kind == SocketType::STREAM && !shared {
        // Only listening shows that a TCP port with `SO_REUSEADDR` is really free.
        rustix::net::listen(&socket, 1)?;
    }
    Ok(socket)
}

/// The address that a socket was bound to.
fn local(socket: &OwnedFd) -> Result<SocketAddr, Errno> {
    SocketAddr::try_from(rustix::net::getsockname(socket)?)
}
