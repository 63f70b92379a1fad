//! The one retry loop.

use std::{
    error::Error as StdError,
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use crate::{
    Attempt, Database, Error, Transaction,
    marker::Marker,
    planted::{self, Bug},
};

/// How long and how often a transaction is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactOptions {
    /// When to give up. Default: 30 seconds from the start.
    pub deadline: Duration,
    /// How often to try at most. Default: no limit.
    pub attempts_max: Option<u32>,
    /// The longest wait before the second attempt; it doubles with each, and the wait is a random
    /// part of it. Default: 1 millisecond.
    pub backoff_initial: Duration,
    /// The longest wait between two attempts. Default: 500 milliseconds.
    pub backoff_max: Duration,
}

impl Default for TransactOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            attempts_max: None,
            backoff_initial: Duration::from_millis(1),
            backoff_max: Duration::from_millis(500),
        }
    }
}

impl TransactOptions {
    /// Gives up after `deadline`.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Tries at most `attempts` times.
    #[must_use]
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = Some(attempts);
        self
    }

    /// How long the wait behind attempt `number` is at most.
    fn backoff(&self, number: u32) -> Duration {
        let doublings = (number - 1).min(20);
        self.backoff_max
            .min(self.backoff_initial.saturating_mul(1 << doublings))
    }
}

/// Runs `work` until it commits. With a `marker`, it takes effect once.
pub(crate) async fn run<T, E, F, Fut>(
    db: &Database,
    options: &TransactOptions,
    mut marker: Option<Marker<'_>>,
    work: F,
) -> Result<T, E>
where
    F: Fn(Transaction) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: From<Error> + StdError + 'static,
{
    let mut clock = Clock::start(db, options);
    // What the attempts with an unknown outcome computed, by their number.
    let mut unknown: Vec<(u32, T)> = Vec::new();
    loop {
        let tx = db
            .begin_attempt(clock.attempt)
            .map_err(|error| clock.fail(error))?;
        let remaining = clock.remaining();
        // Until the attempt's outcome is known: its future may be dropped at any await.
        settle(&mut marker, false);
        let is_unsure = clock.attempt.maybe_executed && !planted::is(Bug::RetryWithoutMarker);
        let marker_read = marker.as_ref().filter(|_| is_unsure);
        let outcome = {
            // Pinned here: handed over by value, it would take its room twice.
            let attempt = pin!(async {
                if let Some(marker) = marker_read
                    && let Some(committed) = marker.committed_attempt(&tx).await?
                {
                    return Ok(Outcome::Earlier(committed));
                }
                let value = work(tx.clone()).await?;
                if let Some(marker) = &marker
                    && (tx.has_writes() || clock.attempt.maybe_executed)
                {
                    marker.write(&tx, clock.attempt.number)?;
                }
                Ok::<_, E>(match tx.commit().await {
                    Ok(()) => Outcome::Committed(value),
                    Err(error) => Outcome::Failed(error, value),
                })
            });
            db.env().timeout(remaining, attempt).await
        };
        let error: E = match outcome {
            Ok(Ok(Outcome::Committed(value))) => {
                settle(&mut marker, true);
                return Ok(value);
            }
            Ok(Ok(Outcome::Earlier(committed))) => {
                settle(&mut marker, true);
                match unknown.into_iter().find(|(number, _)| *number == committed) {
                    Some((_, value)) => return Ok(value),
                    // An attempt of this very operation was committed, and it computed a value
                    // before it was: there is no way here.
                    None => return Err(clock.give_up(Some(Error::Conflict)).into()),
                }
            }
            Ok(Ok(Outcome::Failed(error, value))) => {
                if error.maybe_executed() {
                    unknown.push((clock.attempt.number, value));
                }
                error.into()
            }
            Ok(Err(error)) => error,
            Err(_elapsed) => {
                // The commit may be on its way.
                clock.attempt.maybe_executed |= tx.is_finished() && tx.has_writes();
                settle(&mut marker, !clock.attempt.maybe_executed);
                return Err(clock.give_up(None).into());
            }
        };
        let cause = Error::find(&error).cloned();
        clock.attempt.maybe_executed |= cause.as_ref().is_some_and(Error::maybe_executed);
        settle(&mut marker, !clock.attempt.maybe_executed);
        let cause = match cause {
            Some(cause) if cause.is_retryable() => cause,
            // An earlier attempt may have happened, and this error does not say so.
            Some(cause) if clock.attempt.maybe_executed && !cause.maybe_executed() => {
                return Err(clock.fail(cause).into());
            }
            _ => return Err(error),
        };
        tracing::debug!(attempt = clock.attempt.number, %cause, "transaction is run again");
        clock.back_off(cause).await?;
    }
}

fn settle(marker: &mut Option<Marker<'_>>, is_settled: bool) {
    if let Some(marker) = marker {
        marker.set_settled(is_settled);
    }
}

enum Outcome<T> {
    Committed(T),
    Failed(Error, T),
    Earlier(u32),
}

/// Counts attempts and time.
struct Clock<'a> {
    db: &'a Database,
    options: &'a TransactOptions,
    started: Instant,
    attempt: Attempt,
}

impl<'a> Clock<'a> {
    fn start(db: &'a Database, options: &'a TransactOptions) -> Self {
        Self {
            db,
            options,
            started: db.env().now(),
            attempt: Attempt::FIRST,
        }
    }

    fn remaining(&self) -> Duration {
        self.options
            .deadline
            .saturating_sub(self.db.env().now() - self.started)
    }

    /// Waits before the next attempt, if there may be one.
    async fn back_off(&mut self, cause: Error) -> Result<(), Error> {
        let env = self.db.env();
        let wait = env.jitter(self.options.backoff(self.attempt.number));
        let is_last = self
            .options
            .attempts_max
            .is_some_and(|max| self.attempt.number >= max);
        if is_last || wait >= self.remaining() {
            return Err(self.give_up(Some(cause)));
        }
        env.back_off(wait).await;
        self.attempt.is_too_old = matches!(cause, Error::TransactionTooOld);
        self.attempt.number += 1;
        Ok(())
    }

    /// The error for a transaction that failed with `last` and is not run again.
    fn fail(&self, last: Error) -> Error {
        if self.attempt.maybe_executed {
            let last = Box::new(last);
            return Error::OutcomeUnknown { last };
        }
        last
    }

    fn give_up(&self, last: Option<Error>) -> Error {
        Error::DeadlineExceeded {
            after: self.db.env().now() - self.started,
            attempts: self.attempt.number,
            last: last.map(Box::new),
            maybe_executed: self.attempt.maybe_executed,
        }
    }
}
