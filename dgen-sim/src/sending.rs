//! Sending a message, and what its sender learns.

use dgen_backend::Tenant;
use dgen_server::{Call, CallError, Cast, CastError, Failure, Server};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    history::{Op, Outcome},
    servers::{
        AccountHandle, AlarmHandle, DeskHandle, Payment, RegisterHandle, WorkerHandle, id, options,
    },
    world::{Order, Step, Way},
};

/// Sends what `step` says from `tenant`, once; `op` is the name of its first effect.
pub(crate) async fn send(tenant: Tenant, step: Step, op: Op) -> Outcome {
    let (server, way) = (step.server, step.way);
    let (to, panics, named) = (
        id(server),
        way.panics,
        Named {
            step: step.number,
            way,
        },
    );
    let register = || RegisterHandle::client_with(&tenant, to, options());
    let worker = || WorkerHandle::client_with(&tenant, to, options());
    let alarm = || AlarmHandle::client_with(&tenant, to, options());
    let desk = || DeskHandle::client_with(&tenant, to, options());
    match step.order {
        Order::Read if panics == 0 => named.call(register().read()).await,
        Order::Read => named.call(register().look(panics)).await,
        Order::Add(by) => named.call(register().add(op, by, panics)).await,
        Order::Swap(with) => named.call(register().swap(op, with, panics)).await,
        Order::Increase(by) => {
            let register = register();
            let cast = || {
                let batch = by
                    .iter()
                    .zip(op..)
                    .fold(register.batch(), |batch, (by, op)| {
                        batch.increase(op, *by, panics)
                    });
                batch.cast()
            };
            if !way.is_enqueued {
                return named.cast(cast()).await;
            }
            let named = &named;
            let pushed = tenant.transact(|tx| {
                let enqueued = named.dressed(cast()).enqueue(&tx);
                std::future::ready(enqueued)
            });
            accepted(pushed.await)
        }
        Order::Transfer { to: other, amount } => {
            let payment = Payment {
                op,
                from: server,
                to: other,
                amount,
                panics,
            };
            let account = AccountHandle::client_with(&tenant, to, options());
            named.call(account.transfer(payment)).await
        }
        Order::Work(duration) => {
            named
                .call(worker().work(server, op, duration, panics))
                .await
        }
        Order::Count => named.call(worker().count(op, panics)).await,
        Order::Note => named.call(worker().note(op)).await,
        Order::Set { after, key } => named.call(alarm().set(op, after, key)).await,
        Order::Every { period, key } => named.call(alarm().every(op, period, key)).await,
        Order::Cancel(key) => named.call(alarm().cancel(op, key, panics)).await,
        Order::Ask => named.call(desk().ask(op, panics)).await,
        Order::Serve => named.call(desk().serve(op, panics)).await,
    }
}

/// How a step's message is sent.
#[derive(Clone, Copy)]
struct Named {
    step: u32,
    way: Way,
}

impl Named {
    async fn call<S, T, E>(self, mut call: Call<'_, S, T, E>) -> Outcome
    where
        S: Server,
        T: DeserializeOwned + Into<i64>,
        E: Serialize + DeserializeOwned,
    {
        call = call.timeout(self.way.timeout);
        if self.way.has_id {
            call = call.id(self.id());
        }
        if self.way.is_priority {
            call = call.priority();
        }
        match call.await {
            Ok(answer) => Outcome::Answered(answer.into()),
            Err(CallError::Handler(_)) => Outcome::Refused,
            // It may be replayed.
            Err(CallError::Failed(failure @ Failure::DeadLettered { .. })) => {
                Outcome::Unknown(failure.to_string())
            }
            Err(error) if error.maybe_executed() => Outcome::Unknown(words(&error)),
            Err(error) => Outcome::NotExecuted(words(&error)),
        }
    }

    async fn cast<S: Server>(self, cast: Cast<'_, S>) -> Outcome {
        accepted(self.dressed(cast).await)
    }

    fn dressed<'a, S: Server>(self, mut cast: Cast<'a, S>) -> Cast<'a, S> {
        cast = cast.timeout(self.way.timeout);
        if self.way.has_id {
            cast = cast.id(self.id());
        }
        if self.way.is_priority {
            cast = cast.priority();
        }
        cast
    }

    fn id(self) -> String {
        format!("step-{}", self.step)
    }
}

fn accepted(sent: Result<(), CastError>) -> Outcome {
    match sent {
        Ok(()) => Outcome::Accepted,
        Err(error) if error.maybe_executed() => Outcome::Unknown(error.to_string()),
        Err(error) => Outcome::NotExecuted(error.to_string()),
    }
}

fn words<E>(error: &CallError<E>) -> String {
    match error {
        CallError::Failed(failure) => failure.to_string(),
        CallError::Timeout { after } => format!("timed out after {after:?}"),
        CallError::Decode { what } => what.clone(),
        _ => "the handler's error".to_owned(),
    }
}
