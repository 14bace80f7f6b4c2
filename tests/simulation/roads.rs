//! The roads between us and the API server: slow, cut, or dark.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use signpost::source::cluster::{Dial, Dialled, Pipe};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, split,
};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::api::FakeApi;

/// How long packets may vanish before a connection is given up, as `TCP_USER_TIMEOUT` would have it.
const DEAD: Duration = Duration::from_secs(2);

/// What all roads have in common.
#[derive(Clone)]
pub(crate) struct Roads {
    /// Where they lead.
    api: Arc<FakeApi>,
    /// Choices.
    rng: Arc<Mutex<Rng>>,
    /// Whether packets vanish.
    dark: watch::Sender<bool>,
    /// The longest delay of a piece. Unit: milliseconds.
    slow: Arc<Mutex<u64>>,
}

impl Roads {
    /// Roads to an API server.
    pub(crate) fn new(api: Arc<FakeApi>, seed: u64) -> Self {
        let rng = Arc::new(Mutex::new(Rng::with_seed(seed)));
        Self { api, rng, dark: watch::Sender::new(false), slow: Arc::new(Mutex::new(2)) }
    }

    /// Makes packets vanish, or no longer.
    pub(crate) fn dark(&self, dark: bool) {
        self.dark.send_replace(dark);
    }

    /// Makes pieces as slow as this.
    pub(crate) fn slow(&self, millis: u64) {
        *self.slow.lock() = millis;
    }

    /// A pause as long as roads are slow.
    fn pause(&self) -> Duration {
        Duration::from_millis(self.rng.lock().u64(..=*self.slow.lock()))
    }

    /// How much is carried at a time. Unit: bytes.
    fn piece(&self) -> usize {
        let mut rng = self.rng.lock();
        if rng.u8(..4) == 0 { rng.usize(1..64) } else { 4096 }
    }
}

impl Dial for Roads {
    fn dial(&self, _: &http::Uri) -> Dialled {
        let roads = self.clone();
        Box::pin(async move {
            sleep(roads.pause()).await;
            if *roads.dark.borrow() {
                // Nobody answers a SYN that vanished.
                sleep(DEAD).await;
                return Err(io::ErrorKind::TimedOut.into());
            }
            let theirs = roads.api.dial()?;
            let (ours, middle) = tokio::io::duplex(64 << 10);
            tokio::spawn(carry(roads, middle, theirs));
            Ok(Box::new(ours) as Box<dyn Pipe>)
        })
    }
}

/// Carries bytes both ways until one end is gone.
async fn carry(roads: Roads, us: DuplexStream, them: DuplexStream) {
    let (us_read, us_write) = split(us);
    let (them_read, them_write) = split(them);
    // The first of the two that ends takes the other with it: both ends see the end of the connection.
    tokio::select! {
        biased;
        () = one_way(&roads, us_read, them_write) => {}
        () = one_way(&roads, them_read, us_write) => {}
    }
}

/// Carries bytes one way.
async fn one_way<S>(roads: &Roads, mut from: ReadHalf<S>, mut to: WriteHalf<S>)
where
    S: AsyncRead + AsyncWrite,
{
    let mut dark = roads.dark.subscribe();
    loop {
        let mut piece = vec![0; roads.piece()];
        let Ok(length) = from.read(&mut piece).await else { return };
        if length == 0 {
            return;
        }
        sleep(roads.pause()).await;
        if timeout(DEAD, dark.wait_for(|dark| !*dark)).await.is_err() {
            return;
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
