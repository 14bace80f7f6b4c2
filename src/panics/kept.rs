//! Tasks that go on: a panic in one is counted and told, and it begins again.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::caught::{Catching, Caught, catch};
use super::counts::count;
use super::ordered::turn;

/// The time before a task begins again: one that panics at once must not fill the log.
const PAUSE: Duration = Duration::from_secs(1);

/// Says in one line what happened, and counts it.
fn tell(task: &'static str, caught: &Caught) {
    count(task);
    tracing::error!("the task `{task}` panicked and goes on: {caught}");
}

/// Does something of a task once; `None` where that panicked, which is counted and told.
///
/// Cost: two stores to the thread's own memory.
pub(crate) fn attempt<T>(task: &'static str, act: impl FnOnce() -> T) -> Option<T> {
    let act = || {
        turn(task);
        act()
    };
    catch(Catching::Plain, act).inspect_err(|caught| tell(task, caught)).ok()
}

/// Does the work of a thread until it returns; where it panics it begins again after a pause.
pub fn keep(task: &'static str, mut act: impl FnMut()) {
    while attempt(task, &mut act).is_none() {
        std::thread::sleep(PAUSE);
    }
}

/// A future whose panics are counted and told; `None` where it ended by one.
///
/// Cost: one allocation of the future's size; what is returned is two words and a name.
pub(crate) fn attempted<F: Future>(task: &'static str, future: F) -> impl Future<Output = Option<F::Output>> {
    // On the heap, and before anything is awaited: a task of it holds the future once, not once more for the time before.
    let mut future = Some(Box::pin(future));
    std::future::poll_fn(move |context| {
        let Some(running) = &mut future else { return Poll::Ready(None) };
        let poll = || {
            turn(task);
            Pin::as_mut(running).poll(context)
        };
        match catch(Catching::Plain, poll) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Err(caught) => {
                tell(task, &caught);
                // What it holds may panic again as it goes, and must not take the thread with it.
                let left = future.take();
                attempt(task, || drop(left));
                Poll::Ready(None)
            }
        }
    })
}

/// Runs the future that `begin` makes until one of them returns; after one that panicked the next begins, a pause later.
pub(crate) async fn kept<F: Future<Output = ()>>(task: &'static str, mut begin: impl FnMut() -> F) {
    loop {
        if let Some(future) = attempt(task, &mut begin)
            && attempted(task, future).await.is_some()
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    //! What becomes of tasks that panic.

    use std::cell::Cell;
    use std::rc::Rc;

    use super::super::counted;
    use super::*;

    /// How often a task has panicked.
    fn count_of(task: &str) -> u64 {
        counted().iter().find(|(known, _)| *known == task).map_or(0, |(_, count)| *count)
    }

    /// Runs a future on paused time.
    fn run<F: Future>(future: F) -> F::Output {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(future)
    }

    #[test]
    fn a_thread_that_panics_begins_again_and_each_time_is_counted() {
        let mut turns = 0;
        keep("test: thread", || {
            turns += 1;
            assert!(turns > 1, "the first turn goes wrong");
        });
        assert_eq!((turns, count_of("test: thread")), (2, 1));
    }

    #[test]
    fn what_is_done_once_gives_nothing_where_it_panicked() {
        assert_eq!(attempt("test: once", || 7), Some(7));
        assert_eq!(count_of("test: once"), 0);
        assert_eq!(attempt("test: once", || -> u8 { panic!("no seven") }), None);
        assert_eq!(count_of("test: once"), 1);
    }

    #[test]
    fn a_future_that_panics_behind_a_wait_begins_again() {
        let turns = Rc::new(Cell::new(0));
        run(kept("test: future", || {
            let turns = turns.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(60)).await;
                turns.set(turns.get() + 1);
                assert!(turns.get() > 2, "the first two turns go wrong");
            }
        }));
        assert_eq!((turns.get(), count_of("test: future")), (3, 2));
    }

    #[test]
    fn a_future_that_cannot_be_made_or_dropped_takes_nothing_with_it() {
        /// Panics as it goes.
        struct Stubborn;
        impl Drop for Stubborn {
            fn drop(&mut self) {
                panic!("it won't go");
            }
        }
        let mut turns = 0;
        run(kept("test: making", || {
            turns += 1;
            assert!(turns > 1, "it can't be made");
            std::future::ready(())
        }));
        assert_eq!(count_of("test: making"), 1);
        let held = Stubborn;
        let holds = std::future::poll_fn(move |_| -> Poll<()> {
            let _held = &held;
            panic!("while it holds on");
        });
        assert_eq!(run(attempted("test: holding", holds)), None);
        assert_eq!(count_of("test: holding"), 2);
    }
}
