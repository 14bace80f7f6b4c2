//! Connections that give each query a stream of its own: HTTP/2 and QUIC. Their libraries number and order.

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::super::network::StreamFault;
use super::super::upstream::count;
use super::connection::{Connection, Life};
use super::fault::fault;
use super::framed::LOOK;
use super::lane::{End, Lane};
use super::task::Task;
use crate::panics::attempted;

/// Why a query got no reply.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection failed; another one may do.
    Connection(StreamFault),
    /// The upstream said no to this query.
    Answer(StreamFault),
}

/// A connection that is there.
pub(super) trait Asker: Clone + 'static {
    /// Asks; the query has id 0, and so has the reply.
    fn ask(&self, query: Vec<u8>) -> impl Future<Output = Result<Vec<u8>, Trouble>>;

    /// Returns when the connection has ended.
    fn closed(&self) -> impl Future<Output = ()>;
}

/// What became of a task; `None` where its time passed.
type Outcome = (Task, Option<Result<Vec<u8>, Trouble>>);

/// Asks on a connection until it ends.
pub(super) async fn serve<A: Asker>(asker: A, connection: &Connection, lane: &Lane) -> End {
    connection.open(lane.now());
    count(&lane.upstream.counts.opened);
    let mut under_way: JoinSet<Option<Outcome>> = JoinSet::new();
    let mut look = std::pin::pin!(sleep(LOOK));
    let mut idle = false;
    let mut closed = false;
    loop {
        while let Some(task) = connection.next() {
            if task.over(lane.now()) {
                task.forget();
                lane.ended(connection);
            } else if closed {
                lane.ended(connection);
                lane.bereaved(connection, task, &gone());
                lane.pump();
            } else {
                let asked = ask(asker.clone(), task, lane.now());
                under_way.spawn_local(attempted("connection to an upstream", asked));
            }
        }
        if connection.life() == Life::Leaving && connection.load() == 0 {
            return End { fault: gone(), tasks: Vec::new() };
        }
        tokio::select! {
            Some(joined) = under_way.join_next(), if !under_way.is_empty() => {
                if let Ok(Some((task, result))) = joined {
                    came(task, result, connection, lane);
                } else {
                    lane.ended(connection);
                }
            }
            () = asker.closed(), if !closed => {
                closed = true;
                connection.leave();
            }
            () = connection.rung() => {}
            () = &mut look => {
                let now = lane.now();
                if connection.doubtful(lane.room.options.silent, now) {
                    lane.pump();
                }
                if connection.may_end(lane.upstream.spec(), now) {
                    connection.leave();
                }
                idle = connection.load() == 0;
                let pause = if idle { connection.spare(lane.upstream.spec(), now) } else { LOOK };
                look.as_mut().reset(Instant::now() + pause);
            }
        }
        if idle && connection.load() > 0 {
            idle = false;
            look.as_mut().reset(Instant::now() + LOOK);
        }
    }
}

/// What is said of a connection that ended.
fn gone() -> StreamFault {
    fault("connection closed before the reply")
}

/// Asks for a task, as long as it is waited for.
async fn ask<A: Asker>(asker: A, task: Task, now: crate::time::Tick) -> Outcome {
    let mut query = task.query().to_vec();
    if let Some(id) = query.get_mut(..2) {
        // The same question is the same bytes, for whoever caches (RFC 8484 §4.1); QUIC wants it so (RFC 9250 §4.2.1).
        id.fill(0);
    }
    let result = timeout(task.left(now), asker.ask(query)).await;
    (task, result.ok())
}

/// Something became of a task.
fn came(task: Task, result: Option<Result<Vec<u8>, Trouble>>, connection: &Connection, lane: &Lane) {
    match result {
        Some(Ok(message)) => {
            connection.heard(lane.now());
            connection.replied();
            task.answer(message);
        }
        Some(Err(Trouble::Answer(why))) => {
            connection.heard(lane.now());
            task.fail(why);
        }
        Some(Err(Trouble::Connection(why))) => {
            connection.leave();
            lane.bereaved(connection, task, &why);
            lane.ended(connection);
            return lane.pump();
        }
        None => task.forget(),
    }
    lane.ended(connection);
}
