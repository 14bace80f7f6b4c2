//! Bare echoes: the floor that a server on this kernel stands on, with different ways to wait.
//!
//! A reply is the query with QR set and zeroes appended up to the size of the real answer. Nothing is parsed, so what a server
//! costs beyond its echo is what the server does.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, bail};
use signpost::server::{
    BATCH, Bound, Envelope, Inbox, KernelLink, Link as _, Outbox, Ready, bind, wake_handle,
};
use signpost::time::Clock;
use tokio::io::Interest;

/// After so many batches the loop looks elsewhere, as the worker does.
const BATCHES: usize = 4;

/// How an echo waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// As our worker: epoll, `recvmmsg`, `sendmmsg`.
    Epoll,
    /// The same, but after a batch another one is looked for before epoll is asked.
    Again,
    /// A blocking `recvfrom` for the first datagram, `recvmmsg` for the rest, `sendmmsg`.
    Blocking,
    /// A blocking `recvfrom` and a `sendto` for each datagram.
    Plain,
    /// tokio, current-thread: `readable`, `recvmmsg`, `sendmmsg`.
    Tokio,
}

/// Echoes until the process is ended.
pub(crate) fn run(addr: SocketAddr, wait: Wait, pad: usize) -> anyhow::Result<()> {
    let Bound::Yes(group) = bind(addr.into(), 1, &[])? else { bail!("this machine has no IPv6") };
    let sockets = group.sockets.into_iter().next().context("no socket was bound")?;
    if matches!(wait, Wait::Epoll | Wait::Again) {
        // Kept in the same epoll set as in the worker, listener and wake-up included.
        let (event, _waker) = wake_handle()?;
        let mut link = KernelLink::new(event, Clock::system())?;
        link.adopt(sockets)?;
        return epoll(link, wait == Wait::Again, pad);
    }
    let socket = sockets.datagrams.context("no socket was bound")?;
    match wait {
        Wait::Epoll | Wait::Again | Wait::Blocking => blocking(&socket, pad),
        Wait::Plain => plain(&socket, pad),
        Wait::Tokio => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(asynchronous(socket, pad))
        }
    }
}

/// Makes a reply of a query in `slot`; returns its length, or `None` for what is no query.
fn reply(query: &[u8], pad: usize, slot: &mut [u8]) -> Option<usize> {
    let length = query.len() + pad;
    let (head, tail) = slot.get_mut(..length)?.split_at_mut_checked(query.len())?;
    head.copy_from_slice(query);
    tail.fill(0);
    *head.get_mut(2)? |= 0x80;
    Some(length)
}

/// Makes a reply for each datagram of a batch.
fn reply_all(inbox: &Inbox, outbox: &mut Outbox, pad: usize) {
    for index in 0..inbox.len() {
        if let Some(length) = reply(inbox.bytes(index), pad, outbox.next_slot()) {
            outbox.commit(length, &inbox.envelope(index));
        }
    }
}

/// Waits with epoll; with `again`, only when a batch came up empty.
fn epoll(mut link: KernelLink, again: bool, pad: usize) -> anyhow::Result<()> {
    let (mut inbox, mut outbox, mut ready) = (Inbox::default(), Outbox::default(), Vec::new());
    loop {
        link.wait(None, &mut ready);
        for event in &ready {
            let Ready::Datagrams(socket) = *event else { continue };
            for _ in 0..BATCHES {
                let Ok(count) = link.receive(socket, &mut inbox) else { break };
                reply_all(&inbox, &mut outbox, pad);
                link.send(socket, &mut outbox);
                if count < BATCH && !again {
                    break;
                }
            }
        }
    }
}

/// Waits in `recvfrom`, then takes what else is there.
fn blocking(socket: &UdpSocket, pad: usize) -> anyhow::Result<()> {
    socket.set_nonblocking(false)?;
    let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
    let (mut first, mut answer) = ([0_u8; 2048], [0_u8; 2048]);
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut first) else { continue };
        let one = first.get(..length).unwrap_or_default();
        // `receive` never waits, whatever the socket's mode.
        // Where nothing is there, it leaves the inbox empty.
        let more = inbox.receive(socket.as_fd()).unwrap_or(0);
        if more == 0 || more == BATCH {
            // Alone, or there is no place left beside a whole batch.
            if let Some(length) = reply(one, pad, &mut answer) {
                let _ = socket.send_to(answer.get(..length).unwrap_or_default(), peer);
            }
        } else if let Some(length) = reply(one, pad, outbox.next_slot()) {
            outbox.commit(length, &Envelope::new(peer, None));
        }
        reply_all(&inbox, &mut outbox, pad);
        if !outbox.is_empty() {
            outbox.send(socket.as_fd());
        }
    }
}

/// One system call to receive and one to send, for each query.
fn plain(socket: &UdpSocket, pad: usize) -> anyhow::Result<()> {
    socket.set_nonblocking(false)?;
    let (mut query, mut answer) = ([0_u8; 2048], [0_u8; 2048]);
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut query) else { continue };
        if let Some(length) = reply(query.get(..length).unwrap_or_default(), pad, &mut answer) {
            let _ = socket.send_to(answer.get(..length).unwrap_or_default(), peer);
        }
    }
}

/// Waits in tokio.
async fn asynchronous(socket: UdpSocket, pad: usize) -> anyhow::Result<()> {
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
    loop {
        socket.readable().await?;
        // Ends with `WouldBlock` once the socket is empty, which tells tokio to wait for the next event.
        let _: io::Result<()> = socket.try_io(Interest::READABLE, || {
            for _ in 0..BATCHES {
                let count = inbox.receive(socket.as_fd())?;
                reply_all(&inbox, &mut outbox, pad);
                outbox.send(socket.as_fd());
                if count < BATCH {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
            }
            Ok(())
        });
    }
}
