//! What wakes a process that has nothing to do.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dgen_backend::{Error, Watch};

use super::Process;
use crate::{
    Server, StopReason, agenda,
    batch_size::BATCH_MAX,
    clock,
    hold::Hold,
    locked_work,
    polling::note_lost_watch,
    remedy::AttemptError,
    waking::{Waking, Watched},
};

impl<S: Server> Process<S> {
    /// What wakes a process that has nothing to do: a push, a timer that is due, the next poll.
    pub(super) fn wait_for_push(
        &mut self,
        watch: Result<Watch, Error>,
        due_millis: Option<u64>,
    ) -> Waking {
        self.waits_until = due_millis;
        let env = self.address.tenant.env();
        let wait = self.wait_until(due_millis);
        Waking::watching(Watched::Queue, watch, env, wait, self.polling.pause())
    }

    /// How long to wait for the next timer, or poll.
    fn wait_until(&self, due_millis: Option<u64>) -> Duration {
        let wait = due_millis.map_or(Duration::MAX, |due_millis| {
            let now = self.address.tenant.env().wall_clock();
            let due = clock::from_millis(due_millis).duration_since(now);
            due.unwrap_or_default()
        });
        wait.min(self.address.poll_interval())
    }

    /// Sets the watch on the queue.
    pub(super) async fn watch_queue(&mut self) -> Waking {
        let address = Arc::clone(&self.address);
        let address = &address;
        // In a transaction of its own, since it counts as a read. A timer that was set since the
        // attempt is seen by this one, or fires the watch.
        let queue = &address.keys.queue();
        let watch = address.tenant.transact(|tx| async move {
            let first_due = agenda::first(&tx, &address.keys);
            let watch = queue.watch_if_empty(&tx).await?;
            Ok::<_, AttemptError>((watch, first_due.due_millis(&address.keys).await?))
        });
        match watch.await {
            Ok((Some(watch), due_millis)) => self.wait_for_push(Ok(watch), due_millis),
            Ok((None, _)) => Waking::now(),
            Err(error) => {
                let wait = self.wait_until(self.next_due_millis);
                self.without_watch(&error, Watched::Queue, wait)
            }
        }
    }

    /// What wakes a process that could not set its watch.
    fn without_watch(&self, error: &AttemptError, watched: Watched, wait: Duration) -> Waking {
        let env = self.address.tenant.env();
        match Error::find(error) {
            Some(lost @ Error::TooManyWatches { .. }) => {
                let pause = self.polling.pause();
                Waking::watching(watched, Err(lost.clone()), env, wait, pause)
            }
            _ => {
                tracing::debug!(server = %self.address, %error, "no watch; polling instead");
                Waking::after(env, wait)
            }
        }
    }

    /// What wakes a process whose server is held: the end of that.
    pub(super) async fn wait_for_hold(&self, hold: &Hold, wait: Duration) -> Waking {
        let (address, env) = (&self.address, self.address.tenant.env());
        let wait = wait.min(address.poll_interval());
        if matches!(hold, Hold::Failing(_)) {
            return Waking::after(env, wait);
        }
        let watch = address.tenant.transact(|tx| async move {
            let bytes = tx.get(&address.keys.hold()).await?;
            let now = bytes.map(|bytes| Hold::from_bytes(&bytes)).transpose()?;
            if now.as_ref() == Some(hold) {
                return Ok::<_, AttemptError>(Some(tx.watch(&address.keys.hold())?));
            }
            Ok(None)
        });
        match watch.await {
            Ok(Some(watch)) => {
                let pause = self.polling.pause();
                Waking::watching(Watched::Hold, Ok(watch), env, wait, pause)
            }
            Ok(None) => Waking::now(),
            Err(error) => self.without_watch(&error, Watched::Hold, wait),
        }
    }

    /// Waits for something to do; the reason to end if locked work gives one.
    pub(super) async fn wait(&mut self, waking: &mut Waking) -> Option<StopReason> {
        let reason = poll_fn(|cx| self.poll_woken(cx, waking)).await;
        let has_units = !self.units.is_empty() || !self.urgent_units.is_empty();
        self.woken_by_units = match has_units {
            true => self.woken_by_units.saturating_add(1),
            false => 0,
        };
        match waking.lost() {
            Some(error) => {
                note_lost_watch(&self.address, error);
                if !has_units {
                    self.polling.slow_down();
                }
            }
            None => self.polling.reset(),
        }
        reason
    }

    /// Ready once there is something to do; the reason to end if locked work gives one.
    fn poll_woken(
        &mut self,
        cx: &mut Context<'_>,
        waking: &mut Waking,
    ) -> Poll<Option<StopReason>> {
        let (units, urgent_units) = (&mut self.units, &mut self.urgent_units);
        let received = self.inbox.poll_take(cx, units, urgent_units, BATCH_MAX);
        // What was requested since it worked wakes it.
        let requested = self.control.poll_more_requested(cx, self.heeded);
        if received.is_ready() || requested.is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(stop) = locked_work::poll_ended(&mut self.locked, cx) {
            return Poll::Ready(stop.map(StopReason::Handler));
        }
        waking.poll(cx).map(|()| None)
    }
}
