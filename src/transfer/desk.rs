//! The thread that fetches zones and tells others; it starts with the first zone that is followed or told.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, LocalSet, spawn_local};

use super::follow::follow;
use super::notify::notify;
use super::replica::Replica;
use crate::panics::{attempt, attempted, keep, kept, turn};
use crate::time::Clock;
use crate::wire::show_name;

/// Who is told of changes of a zone (wire form, lower case): where from, where to.
pub type Told = Arc<dyn Fn(&[u8]) -> Vec<(Option<IpAddr>, SocketAddr)> + Send + Sync>;

/// How many are told at a time.
const AT_ONCE: usize = 16;

/// What the thread is told to do.
enum Order {
    /// Keep this zone up to date.
    Follow(Arc<Replica>),
    /// Leave this zone.
    Leave(Arc<Replica>),
    /// Tell those who are to know that a zone has changed.
    Tell(Arc<[u8]>),
}

/// The way to the thread; dropping it ends the thread.
pub struct Desk {
    /// The clock.
    clock: Clock,
    /// Who is told.
    told: Told,
    /// The way to the thread, once there is one.
    thread: Mutex<Option<UnboundedSender<Order>>>,
}

impl Desk {
    /// A desk without a thread yet.
    #[must_use]
    pub fn new(clock: Clock, told: Told) -> Self {
        Self { clock, told, thread: Mutex::new(None) }
    }

    /// Keeps a zone up to date from now on. Errors: no thread can be had.
    pub fn follow(&self, replica: Arc<Replica>) -> std::io::Result<()> {
        self.order(Order::Follow(replica))
    }

    /// Leaves a zone.
    pub fn leave(&self, replica: Arc<Replica>) {
        // Without a thread nobody follows it.
        if self.thread.lock().is_some() {
            let _ = self.order(Order::Leave(replica));
        }
    }

    /// Tells those who are to know that a zone has changed. Errors: no thread can be had.
    pub fn tell(&self, zone: Arc<[u8]>) -> std::io::Result<()> {
        if attempt("notify", || (self.told)(&zone)).unwrap_or_default().is_empty() {
            return Ok(());
        }
        self.order(Order::Tell(zone))
    }

    /// Gives an order, to a thread that is started if need be.
    fn order(&self, order: Order) -> std::io::Result<()> {
        let mut thread = self.thread.lock();
        let sender = match thread.as_ref().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => {
                let (sender, mut receiver) = unbounded_channel();
                let (clock, told) = (self.clock.clone(), self.told.clone());
                let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
                std::thread::Builder::new().name("transfers".to_owned()).spawn(move || {
                    // What is followed outlives a panic: it is followed anew.
                    let mut followed = Vec::new();
                    keep("transfers", || {
                        let life = serve(&mut receiver, &clock, &told, &mut followed);
                        LocalSet::new().block_on(&runtime, life);
                    });
                })?;
                thread.insert(sender)
            }
        };
        // The thread ends with the sender and not before.
        let _ = sender.send(order);
        Ok(())
    }
}

/// The life of the thread: ends with the desk.
async fn serve(
    orders: &mut UnboundedReceiver<Order>,
    clock: &Clock,
    told: &Told,
    followed: &mut Vec<Arc<Replica>>,
) {
    let mut tasks: HashMap<*const Replica, AbortHandle> = HashMap::new();
    let places = Rc::new(Semaphore::new(AT_ONCE));
    let begin = |replica: &Arc<Replica>| {
        let (replica, clock, told, places) = (replica.clone(), clock.clone(), told.clone(), places.clone());
        let task = spawn_local(kept("secondary", move || {
            let (told, places) = (told.clone(), places.clone());
            let tell = move |zone: &Arc<[u8]>| spread(zone, &told, &places);
            follow(replica.clone(), clock.clone(), tell)
        }));
        task.abort_handle()
    };
    for replica in followed.iter() {
        tasks.insert(Arc::as_ptr(replica), begin(replica));
    }
    while let Some(order) = orders.recv().await {
        match order {
            Order::Follow(replica) => {
                tasks.insert(Arc::as_ptr(&replica), begin(&replica));
                followed.push(replica);
            }
            Order::Leave(replica) => {
                followed.retain(|known| !Arc::ptr_eq(known, &replica));
                if let Some(task) = tasks.remove(&Arc::as_ptr(&replica)) {
                    task.abort();
                }
            }
            Order::Tell(zone) => spread(&zone, told, &places),
        }
        turn("transfers");
    }
    for task in tasks.into_values() {
        task.abort();
    }
}

/// Tells all who are to know of a zone.
fn spread(zone: &Arc<[u8]>, told: &Told, places: &Rc<Semaphore>) {
    for (source, to) in attempt("notify", || told(zone)).unwrap_or_default() {
        let (zone, places) = (zone.clone(), places.clone());
        spawn_local(attempted("notify", async move {
            // It is never closed.
            let _place = places.acquire().await;
            if let Err(why) = notify(&zone, source, to).await {
                let name = show_name(&zone);
                tracing::warn!(target: "plugin/transfer", "notify for zone {name} was not accepted by {to}: {why}");
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn p11_a_list_of_those_to_be_told_that_panics_once_is_asked_for_again() {
        let secondary = UdpSocket::bind("127.0.0.1:0").unwrap();
        secondary.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let to = secondary.local_addr().unwrap();
        let asked = AtomicUsize::new(0);
        let told: Told = Arc::new(move |_| {
            // The first time it is looked at before there is a thread.
            assert!(asked.fetch_add(1, Ordering::Relaxed) != 1, "the second time goes wrong");
            vec![(None, to)]
        });
        let desk = Desk::new(Clock::system(), told);
        let zone: Arc<[u8]> = Arc::from(&b"\x01a\x04test\x00"[..]);
        desk.tell(zone.clone()).unwrap();
        desk.tell(zone).unwrap();
        let mut bytes = [0; 512];
        let (length, _) = secondary.recv_from(&mut bytes).unwrap();
        assert!(length > 12 && bytes[2] >> 3 & 15 == 4, "a NOTIFY");
    }
}
