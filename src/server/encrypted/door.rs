//! A listener of a thread, and how its connections begin and end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::super::gate::proxy::{self, Front};
use super::guest::{Guests, Times};
use super::https;
use super::room::{Peer, Room};
use crate::chain::{Entry, Socket, Treatment};
use crate::metrics::Traffic;
use crate::panics::attempted;
use crate::tls::Alpn;

/// How long a listener rests after the process ran out of descriptors.
const REST: Duration = Duration::from_millis(100);

/// How long connections that have something under way may take when their listener goes.
pub(super) const LEAVE: Duration = Duration::from_secs(5);

/// The most connections of a listener whose header is awaited.
const HEADERS: usize = 256;

/// A listener of a thread.
pub(super) struct Door {
    /// What is shared.
    pub(super) room: Rc<Room>,
    /// What is listened on.
    pub(super) socket: Socket,
    /// Its connections.
    pub(super) guests: Rc<Guests>,
    /// What is counted.
    pub(super) traffic: Arc<Traffic>,
    /// Says when it goes.
    leave: watch::Receiver<bool>,
}

impl Door {
    /// A listener, and what tells it to go.
    pub(super) fn new(room: Rc<Room>, socket: Socket, entry: &Entry) -> (Rc<Self>, watch::Sender<bool>) {
        let (tell, leave) = watch::channel(false);
        let traffic = entry.traffic.clone().unwrap_or_else(|| Arc::new(Traffic::new(&[])));
        let guests = Rc::new(Guests::new(traffic.clone(), room.ledger.clone()));
        (Rc::new(Self { room, socket, guests, traffic, leave }), tell)
    }

    /// Returns when the listener goes.
    pub(super) async fn leaving(&self) {
        let mut leave = self.leave.clone();
        // Whoever would tell it has gone as well.
        let _ = leave.wait_for(|leave| *leave).await;
    }

    /// The times of its connections.
    pub(super) fn times(&self) -> Times {
        self.room.times(self.socket)
    }

    /// The bounds of one of so many threads.
    pub(super) fn per_client(&self, most: usize) -> usize {
        // However few places there are, one client does not take all of them.
        let share = self.room.per_client.div_ceil(self.room.threads);
        share.min(most - most / 4).max(1)
    }

    /// Takes connections over TCP until the listener goes.
    pub(super) async fn serve(self: Rc<Self>, listener: Rc<TcpListener>) {
        let _stay = self.room.stay();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.leaving() => return,
            };
            match accepted {
                Ok((stream, addr)) => {
                    let Some(entry) = self.room.entry(self.socket) else { continue };
                    let door = self.clone();
                    tokio::task::spawn_local(attempted("connection", door.welcome(stream, addr, entry)));
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of descriptors or memory: the listener rests instead of spinning.
                    tracing::warn!(%error, "taking a connection failed; the listener rests for {REST:?}");
                    sleep(REST).await;
                }
            }
        }
    }

    /// Serves a connection from its first byte to its last.
    async fn welcome(self: Rc<Self>, stream: TcpStream, addr: SocketAddr, entry: Entry) {
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().ok().map(|local| local.ip());
        let mut peer = Peer { addr, local, socket: self.socket };
        if let Some(proxy) = &entry.proxy {
            let treatment = proxy.treatment(addr.ip());
            if treatment != Treatment::Skip {
                // Those are not told apart by client yet.
                if self.room.open.get() > self.guests.len() + HEADERS {
                    self.traffic.refused();
                    return;
                }
                let _stay = self.room.stay();
                let header = timeout(self.room.patience, past_header(&stream, treatment)).await;
                let Ok(Ok(origin)) = header else { return };
                if let Some((client, asked)) = origin {
                    peer.addr = client;
                    peer.local = Some(asked);
                }
            }
        }
        let most = entry.limits.connections(self.socket.scheme);
        let Some(place) = self.guests.admit(peer.addr.ip(), most, self.per_client(most)) else { return };
        let _stay = self.room.stay();
        let guest = place.guest.clone();
        let serve = async {
            match entry.tls {
                None => https::serve_plain(&self, &place.guest, peer, stream).await,
                Some(tls) => {
                    let acceptor = tokio_rustls::TlsAcceptor::from(tls.config(Alpn::Https));
                    let accepted = timeout(self.room.patience, acceptor.accept(stream)).await;
                    // Who breaks the rules of TLS was told so, and is of no interest to the log.
                    if let Ok(Ok(stream)) = accepted {
                        place.guest.alive();
                        https::serve(&self, &place.guest, peer, stream).await;
                    }
                }
            }
        };
        tokio::select! {
            () = serve => {}
            () = guest.evicted() => {}
        }
    }
}

/// Reads the header of a proxy off a stream; who the client is by its account, if that counts.
///
/// Errors: the connection is to be closed.
async fn past_header(stream: &TcpStream, treatment: Treatment) -> io::Result<Option<(SocketAddr, IpAddr)>> {
    let mut bytes = vec![0; 512];
    loop {
        let count = stream.peek(&mut bytes).await?;
        match proxy::read(bytes.get(..count).unwrap_or_default()) {
            Front::Nothing => return Ok(None),
            Front::Incomplete if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Front::Incomplete if count == bytes.len() && count < proxy::MOST => bytes.resize(proxy::MOST, 0),
            // More is on its way: what is there already does not wake us.
            Front::Incomplete => sleep(Duration::from_millis(5)).await,
            Front::Header(header) if treatment != Treatment::Reject => {
                let mut left = header.length;
                while left > 0 {
                    stream.readable().await?;
                    let room = bytes.get_mut(..left).unwrap_or_default();
                    match stream.try_read(room) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(count) => left -= count,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
                let origin = header.origin.filter(|_| treatment == Treatment::Use);
                return Ok(origin.map(|origin| (origin.client, origin.asked)));
            }
            Front::Header(_) | Front::Broken => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
