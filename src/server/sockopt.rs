//! What is asked and set of a datagram socket under pressure; with `kernel`, the files of this room with `unsafe`.
#![allow(unsafe_code, reason = "filters, times of arrival and fill levels of sockets have no safe form")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use super::sieve::Instruction;

/// The size of a type in the kernel's width.
fn size_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(0)
}

/// Has the kernel run a program on what comes to a socket, in place of the one before; none without instructions.
///
/// Errors: those of `setsockopt`, also where the kernel takes no programs.
pub(super) fn sift(socket: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let mut program: Vec<libc::sock_filter> = program
        .iter()
        .map(|one| libc::sock_filter {
            code: one.code,
            jt: one.jump_true,
            jf: one.jump_false,
            k: one.operand,
        })
        .collect();
    let filter =
        libc::sock_fprog { len: u16::try_from(program.len()).unwrap_or(0), filter: program.as_mut_ptr() };
    let option = if program.is_empty() { libc::SO_DETACH_FILTER } else { libc::SO_ATTACH_FILTER };
    // SAFETY: `filter` says where `len` instructions are, all of them alive; the kernel copies and checks them. Detaching reads
    // an int of it, whatever it is.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const filter).cast(),
            size_u32::<libc::sock_fprog>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// When the datagram came that was read last from a socket, since 1970; `None` where the kernel has not noted it. The first
/// call has it noted from then on.
pub(super) fn last_came(socket: BorrowedFd<'_>) -> Option<Duration> {
    /// `SIOCGSTAMPNS` (Linux `asm-generic/sockios.h`).
    const STAMP: libc::Ioctl = 0x8907;
    let mut stamp = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes a timespec, whose address is given.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), STAMP, &raw mut stamp) };
    let seconds = u64::try_from(stamp.tv_sec).ok().filter(|_| result == 0)?;
    Some(Duration::new(seconds, u32::try_from(stamp.tv_nsec).ok()?))
}

/// How full a socket is, in percent of what it may hold; `None` where the kernel does not tell.
pub(super) fn fill(socket: BorrowedFd<'_>) -> Option<u8> {
    /// `SO_MEMINFO` (Linux `asm-generic/socket.h`).
    const MEMORY: libc::c_int = 55;
    // Numbers by `SK_MEMINFO_*` (Linux `linux/sock_diag.h`): first what is taken, then the bound.
    let mut memory = [0_u32; 9];
    let mut length = size_u32::<[u32; 9]>();
    // SAFETY: the call writes at most `length` bytes to `memory`, which has as many, and how many they were to `length`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            MEMORY,
            (&raw mut memory).cast(),
            &raw mut length,
        )
    };
    let [taken, bound, ..] = memory;
    let percent = u64::from(taken) * 100 / u64::from(bound.max(1));
    (result == 0 && bound > 0).then(|| u8::try_from(percent.min(100)).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_socket_fills_up_and_says_when_things_came() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!((fill(socket.as_fd()), last_came(socket.as_fd())), (Some(0), None));
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sent = 0;
        while fill(socket.as_fd()) < Some(90) {
            client.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
            sent += 1;
            assert!(sent < 1_000_000, "it is never full");
        }
        socket.recv(&mut [0; 1000]).unwrap();
        let came = last_came(socket.as_fd()).expect("this kernel notes it");
        let now = crate::time::Clock::system().since_1970();
        assert!(came <= now && now.saturating_sub(came) < Duration::from_secs(60), "{came:?} {now:?}");
    }
}
