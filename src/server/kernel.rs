//! Batches of datagrams to and from the kernel: with `sockopt`, the files of this room with `unsafe`.
//!
//! `Batch` owns the message headers of `recvmmsg` and `sendmmsg` together with all that they point to, on the heap, at
//! addresses that never change; outside this file there are only slices.
#![allow(unsafe_code, reason = "recvmmsg, sendmmsg and control messages have no safe form")]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

/// The most datagrams of one system call.
pub const BATCH: usize = 64;

/// The longest query that is received whole. Unit: bytes. A longer one is cut, and so malformed.
pub const RECEIVE: usize = 2048;

/// The longest reply that is sent. Unit: bytes.
pub const SEND: usize = crate::wire::MAX_UDP_REPLY;

/// Room for one control message, in 8-byte units: enough for `in6_pktinfo` (20 bytes) and its header (16).
const CONTROL: usize = 8;

/// Where a datagram came from and which address of ours it was sent to, in the kernel's own form.
///
/// Kept with a query that waits, so that its reply leaves from the address that was asked.
#[derive(Clone, Copy)]
pub struct Envelope {
    /// The peer's socket address.
    name: libc::sockaddr_in6,
    /// How many bytes of `name` count; 0 for an envelope that was never filled.
    name_len: u32,
    /// The local address, where the socket tells it.
    local: Local,
}

/// Our own address of a datagram.
#[derive(Clone, Copy)]
enum Local {
    /// The socket is bound to one address, or the kernel did not tell.
    Unknown,
    /// IPv4.
    V4([u8; 4]),
    /// IPv6, with the interface for link-local addresses.
    V6([u8; 16], u32),
}

impl Envelope {
    /// An envelope from `peer`, for links that are not the kernel's.
    #[must_use]
    pub fn new(peer: SocketAddr, local: Option<IpAddr>) -> Self {
        // SAFETY: sockaddr_in6 is plain old data; all zeroes is a valid value.
        let mut name: libc::sockaddr_in6 = unsafe { mem::zeroed() };
        let name_len = match peer {
            SocketAddr::V4(v4) => {
                let v4name = libc::sockaddr_in {
                    sin_family: family(libc::AF_INET),
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                };
                // SAFETY: sockaddr_in (16 bytes, alignment 4) fits in sockaddr_in6 (28 bytes, alignment 4).
                unsafe { (&raw mut name).cast::<libc::sockaddr_in>().write(v4name) };
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                name.sin6_family = family(libc::AF_INET6);
                name.sin6_port = v6.port().to_be();
                name.sin6_flowinfo = v6.flowinfo();
                name.sin6_addr = libc::in6_addr { s6_addr: v6.ip().octets() };
                name.sin6_scope_id = v6.scope_id();
                size_of::<libc::sockaddr_in6>()
            }
        };
        let local = match local {
            None => Local::Unknown,
            Some(IpAddr::V4(v4)) => Local::V4(v4.octets()),
            Some(IpAddr::V6(v6)) => Local::V6(v6.octets(), 0),
        };
        Self { name, name_len: u32::try_from(name_len).unwrap_or(0), local }
    }

    /// The peer; `None` for an address of another family.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match i32::from(self.name.sin6_family) {
            libc::AF_INET => {
                // SAFETY: the family says that a sockaddr_in was written here, and it is smaller than sockaddr_in6.
                let v4 = unsafe { (&raw const self.name).cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port))))
            }
            libc::AF_INET6 => Some(SocketAddr::V6(SocketAddrV6::new(
                Ipv6Addr::from(self.name.sin6_addr.s6_addr),
                u16::from_be(self.name.sin6_port),
                self.name.sin6_flowinfo,
                self.name.sin6_scope_id,
            ))),
            _ => None,
        }
    }

    /// Our own address that was asked, where the socket tells it.
    #[must_use]
    pub fn local(&self) -> Option<IpAddr> {
        match self.local {
            Local::Unknown => None,
            Local::V4(octets) => Some(IpAddr::from(octets)),
            Local::V6(octets, _) => Some(IpAddr::from(octets)),
        }
    }
}

/// A family constant in the width of the kernel's field.
fn family(constant: i32) -> libc::sa_family_t {
    libc::sa_family_t::try_from(constant).unwrap_or(0)
}

/// Message headers with all that they point to.
struct Messages {
    /// What the system calls take. Each header points to the same index of the boxes below.
    headers: Box<[libc::mmsghdr]>,
    /// One piece of memory a message.
    pieces: Box<[libc::iovec]>,
    /// Peers.
    names: Box<[libc::sockaddr_in6]>,
    /// Control messages.
    controls: Box<[[u64; CONTROL]]>,
    /// Datagrams, `stride` bytes each.
    bytes: Box<[u8]>,
    /// Bytes between one datagram and the next.
    stride: usize,
}

// SAFETY: the pointers in `headers` and `pieces` point into boxes of the same value, which move with it as owners while
// the heap memory stays where it is; nothing is shared between threads.
unsafe impl Send for Messages {}

impl Messages {
    /// `BATCH` messages of `stride` bytes.
    fn new(stride: usize) -> Self {
        // SAFETY: mmsghdr, iovec and sockaddr_in6 are plain old data; all zeroes is a valid value of each.
        let (header, piece, name) = unsafe {
            (
                mem::zeroed::<libc::mmsghdr>(),
                mem::zeroed::<libc::iovec>(),
                mem::zeroed::<libc::sockaddr_in6>(),
            )
        };
        let mut messages = Self {
            headers: vec![header; BATCH].into(),
            pieces: vec![piece; BATCH].into(),
            names: vec![name; BATCH].into(),
            controls: vec![[0; CONTROL]; BATCH].into(),
            bytes: vec![0; BATCH * stride].into(),
            stride,
        };
        for index in 0..BATCH {
            messages.pieces[index].iov_base = messages.bytes[index * stride..].as_mut_ptr().cast();
            messages.pieces[index].iov_len = stride;
            let header = &mut messages.headers[index].msg_hdr;
            header.msg_name = (&raw mut messages.names[index]).cast();
            header.msg_iov = &raw mut messages.pieces[index];
            header.msg_iovlen = 1;
            header.msg_control = messages.controls[index].as_mut_ptr().cast();
        }
        messages
    }

    /// The memory of message `index`.
    fn slot(&mut self, index: usize) -> &mut [u8] {
        self.bytes.get_mut(index * self.stride..(index + 1) * self.stride).unwrap_or_default()
    }
}

/// What came in with one system call, or was put here by a link in memory.
pub struct Inbox {
    /// The messages.
    messages: Messages,
    /// How many came.
    count: usize,
    /// How many headers must be made ready for the next call: those that the last one wrote to.
    used: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { messages: Messages::new(RECEIVE), count: 0, used: BATCH }
    }
}

impl Inbox {
    /// How many datagrams there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets what is in it.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// The bytes of datagram `index`; empty beyond the last. One that was longer than `RECEIVE` is cut.
    #[must_use]
    pub fn bytes(&self, index: usize) -> &[u8] {
        if index >= self.count {
            return &[];
        }
        let length = usize::try_from(self.messages.headers[index].msg_len).unwrap_or(0).min(RECEIVE);
        let start = index * RECEIVE;
        self.messages.bytes.get(start..start + length).unwrap_or_default()
    }

    /// The envelope of datagram `index`.
    #[must_use]
    pub fn envelope(&self, index: usize) -> Envelope {
        let header = &self.messages.headers[index].msg_hdr;
        Envelope {
            name: self.messages.names[index],
            name_len: header.msg_namelen,
            local: local_address(header),
        }
    }

    /// Puts a datagram in, for links that are not the kernel's; false when full. What is over `RECEIVE` bytes is cut.
    pub fn push(&mut self, bytes: &[u8], peer: SocketAddr) -> bool {
        if self.count == BATCH {
            return false;
        }
        let index = self.count;
        let length = bytes.len().min(RECEIVE);
        self.messages.slot(index)[..length].copy_from_slice(&bytes[..length]);
        let envelope = Envelope::new(peer, None);
        self.messages.names[index] = envelope.name;
        self.messages.headers[index].msg_hdr.msg_namelen = envelope.name_len;
        self.messages.headers[index].msg_hdr.msg_controllen = 0;
        self.messages.headers[index].msg_len = u32::try_from(length).unwrap_or(0);
        self.count += 1;
        self.used = self.used.max(self.count);
        true
    }

    /// Receives what waits in a socket, at most `BATCH` datagrams, without waiting; returns how many.
    ///
    /// Errors: `WouldBlock` where nothing waits; others are the socket's (an ICMP error reported on it, for one).
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.count = 0;
        for header in self.messages.headers.iter_mut().take(self.used) {
            header.msg_hdr.msg_namelen = size_u32::<libc::sockaddr_in6>();
            header.msg_hdr.msg_controllen = size_of::<[u64; CONTROL]>();
            header.msg_hdr.msg_flags = 0;
        }
        self.used = 0;
        // SAFETY: every header points to memory of `self.messages` of the stated sizes; BATCH headers are there.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.headers.as_mut_ptr(),
                u32::try_from(BATCH).unwrap_or(0),
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        self.count = count.min(BATCH);
        self.used = self.count;
        Ok(self.count)
    }
}

/// The size of a type in the kernel's width.
fn size_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(0)
}

/// Reads our own address from the control messages of a received datagram.
fn local_address(header: &libc::msghdr) -> Local {
    if header.msg_controllen == 0 {
        return Local::Unknown;
    }
    // SAFETY: the header is one of ours: its control pointer and length describe memory that the kernel filled in.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return only pointers to whole control headers inside the buffer.
        let (level, kind) = unsafe { ((*message).cmsg_level, (*message).cmsg_type) };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: a control message of this kind carries an in_pktinfo; alignment is not promised.
                let info = unsafe { libc::CMSG_DATA(message).cast::<libc::in_pktinfo>().read_unaligned() };
                return Local::V4(info.ipi_spec_dst.s_addr.to_ne_bytes());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: as above, with an in6_pktinfo.
                let info = unsafe { libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>().read_unaligned() };
                return Local::V6(info.ipi6_addr.s6_addr, info.ipi6_ifindex);
            }
            _ => {}
        }
        // SAFETY: `message` came from the same header.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    Local::Unknown
}

/// What goes out with one system call.
pub struct Outbox {
    /// The messages.
    messages: Messages,
    /// How many are ready.
    count: usize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { messages: Messages::new(SEND), count: 0 }
    }
}

impl Outbox {
    /// How many replies are ready.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether no more fit before the next send.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count == BATCH
    }

    /// Forgets what is in it.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Memory for the next reply, `SEND` bytes; empty when full.
    pub fn next_slot(&mut self) -> &mut [u8] {
        if self.is_full() { &mut [] } else { self.messages.slot(self.count) }
    }

    /// Makes the next reply ready: the first `length` bytes of its memory go to the envelope's peer, from the address that
    /// was asked.
    pub fn commit(&mut self, length: usize, to: &Envelope) {
        if self.is_full() {
            return;
        }
        let index = self.count;
        self.messages.pieces[index].iov_len = length.min(SEND);
        self.messages.names[index] = to.name;
        let header = &mut self.messages.headers[index].msg_hdr;
        header.msg_namelen = to.name_len;
        write_local(header, to.local);
        self.count += 1;
    }

    /// The bytes and the peer of ready reply `index`, for links that are not the kernel's.
    #[must_use]
    pub fn reply(&self, index: usize) -> Option<(&[u8], SocketAddr)> {
        if index >= self.count {
            return None;
        }
        let length = self.messages.pieces[index].iov_len;
        let header = &self.messages.headers[index].msg_hdr;
        let envelope = Envelope {
            name: self.messages.names[index],
            name_len: header.msg_namelen,
            local: Local::Unknown,
        };
        let start = index * SEND;
        Some((self.messages.bytes.get(start..start + length)?, envelope.peer()?))
    }

    /// Sends all that is ready; returns how many replies the kernel took and how many it refused, and is empty afterwards.
    ///
    /// A reply that the kernel refuses (no route, a full queue) is dropped and counted: the client asks again.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> Sent {
        let mut sent = Sent::default();
        let mut from = 0;
        while from < self.count {
            let left = self.messages.headers.get_mut(from..self.count).unwrap_or_default();
            // SAFETY: every header points to memory of `self.messages` of the stated sizes; `left` has that many headers.
            let taken = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    left.as_mut_ptr(),
                    u32::try_from(left.len()).unwrap_or(0),
                    libc::MSG_DONTWAIT,
                )
            };
            match usize::try_from(taken) {
                Ok(taken) => {
                    sent.taken += taken;
                    from += taken.max(1);
                }
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    sent.refused += 1;
                    from += 1;
                }
            }
        }
        self.count = 0;
        sent
    }
}

/// What became of the replies of one send.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sent {
    /// Taken by the kernel.
    pub taken: usize,
    /// Refused, and so dropped.
    pub refused: usize,
}

/// Writes the control message that makes a reply leave from `local`.
fn write_local(header: &mut libc::msghdr, local: Local) {
    header.msg_controllen = size_of::<[u64; CONTROL]>();
    // SAFETY: the control pointer is one of our own buffers of CONTROL * 8 bytes, aligned to 8, which is more than
    // CMSG_SPACE(20); CMSG_FIRSTHDR therefore points to a whole header, and its data has room for either struct.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        match local {
            Local::Unknown => header.msg_controllen = 0,
            Local::V4(octets) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(octets) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                (*message).cmsg_level = libc::IPPROTO_IP;
                (*message).cmsg_type = libc::IP_PKTINFO;
                (*message).cmsg_len = cmsg_len::<libc::in_pktinfo>();
                libc::CMSG_DATA(message).cast::<libc::in_pktinfo>().write_unaligned(info);
                header.msg_controllen = cmsg_space::<libc::in_pktinfo>();
            }
            Local::V6(octets, interface) => {
                // Only a link-local source needs the interface; else the routing table decides.
                let link_local = octets[0] == 0xfe && octets[1] & 0xc0 == 0x80;
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: octets },
                    ipi6_ifindex: if link_local { interface } else { 0 },
                };
                (*message).cmsg_level = libc::IPPROTO_IPV6;
                (*message).cmsg_type = libc::IPV6_PKTINFO;
                (*message).cmsg_len = cmsg_len::<libc::in6_pktinfo>();
                libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>().write_unaligned(info);
                header.msg_controllen = cmsg_space::<libc::in6_pktinfo>();
            }
        }
    }
}

/// `CMSG_LEN` of a type.
fn cmsg_len<T>() -> usize {
    // SAFETY: only arithmetic.
    usize::try_from(unsafe { libc::CMSG_LEN(size_u32::<T>()) }).unwrap_or(0)
}

/// `CMSG_SPACE` of a type.
fn cmsg_space<T>() -> usize {
    // SAFETY: only arithmetic.
    usize::try_from(unsafe { libc::CMSG_SPACE(size_u32::<T>()) }).unwrap_or(0)
}

/// Gives memory back to the kernel that nothing is in: what lists have left in the allocator, and the pages of code that only
/// starting has needed, which come back from the file when they are run.
///
/// Cost: milliseconds of one thread; others wait only if they allocate from the same arena, and no query does.
pub fn give_back() {
    // SAFETY: malloc_trim may be called at any time from any thread; it touches only what is free.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(std::path::Path::to_str);
    for (start, length) in maps.lines().filter_map(|line| unwritten(line, own?)) {
        // SAFETY: the range is a private mapping of this program's file that was never written, so each of its pages is as in
        // the file and is read from there again.
        unsafe {
            libc::madvise(std::ptr::with_exposed_provenance_mut(start), length, libc::MADV_DONTNEED);
        }
    }
}

/// Start and length of the mapping in a line of `/proc/PID/maps`, if it is a part of the file `own` that nothing writes, not even
/// the loader: code, and the constants in front of it. What the loader relocates and then protects stands behind the code.
fn unwritten(line: &str, own: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    let unwritten = rest.starts_with("r-xp ") || rest.starts_with("r--p 00000000 ");
    if !unwritten || !rest.ends_with(own) {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some((start, end.checked_sub(start)?))
}

/// Asks the kernel to tell with each datagram which address of ours it was sent to.
///
/// Errors: those of `setsockopt`.
pub(super) fn tell_local_address(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    let (level, option) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let on: libc::c_int = 1;
    // SAFETY: the option takes an int, whose address and size are given.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), size_u32::<libc::c_int>())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_our_file_is_given_back() {
        let line = "5581c0000000-5581c0a00000 r-xp 00381000 fe:00 9986629                    /opt/signpost";
        assert_eq!(unwritten(line, "/opt/signpost"), Some((0x5581_c000_0000, 0xa0_0000)));
        let line = "5581bfc00000-5581c0000000 r--p 00000000 fe:00 9986629                    /opt/signpost";
        assert_eq!(unwritten(line, "/opt/signpost"), Some((0x5581_bfc0_0000, 0x40_0000)));
        for other in [
            "5581c0000000-5581c0a00000 r--p 00381000 fe:00 9986629                    /opt/signpost",
            "5581c0000000-5581c0a00000 rw-p 00381000 fe:00 9986629                    /opt/signpost",
            "7f0000000000-7f0000001000 r-xp 00000000 fe:00 12                         /usr/lib/libc.so.6",
            "7f0000000000-7f0000001000 r-xp 00000000 00:00 0                          [vdso]",
            "",
        ] {
            assert_eq!(unwritten(other, "/opt/signpost"), None, "{other}");
        }
        // And the process goes on.
        give_back();
    }
}
