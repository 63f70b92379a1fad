//! A web service of durable counters: one server a key, started when its first request comes.
//!
//! ```sh
//! cargo run --example service -- --port 8080
//! curl -d 5 localhost:8080/c/apples/increment   # 5
//! curl localhost:8080/c/apples                  # 5
//! ```
//!
//! A number is answered once it is on disk. A bad amount is status 400, 503 says to try again, and 500
//! that trying again is no use. An increment may have happened in spite of 503: that needs an id of the
//! caller's, see `Call::id`. Ctrl-C and SIGTERM end it cleanly: requests that have begun are answered,
//! and servers finish what they do. `--port 0` picks a free port; `--data` names another folder than
//! `service-data`.

use std::{
    collections::HashMap,
    error::Error,
    io,
    net::Ipv4Addr,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use clap::Parser;
use dgen_examples::store;
use dgen_macros::dgen_server;
use dgen_server::{CallError, StartError, Tenant};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpSocket, signal, sync::OnceCell};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[dgen_server]
impl Counter {
    /// Adds `by` and returns the new value.
    #[call]
    fn increment(&mut self, by: i64) -> Result<i64, String> {
        let sum = self.value.checked_add(by);
        self.value = sum.ok_or_else(|| format!("{} + {by} is too large", self.value))?;
        Ok(self.value)
    }

    /// Returns the value.
    #[call]
    fn value(&self) -> i64 {
        self.value
    }
}

/// The counters that were asked for, by key.
#[derive(Clone)]
struct Counters {
    tenant: Tenant,
    started: Arc<Mutex<HashMap<String, Arc<OnceCell<CounterHandle>>>>>,
}

impl Counters {
    /// The counter of `key`. The first who asks starts it; others who come meanwhile wait for that.
    async fn get(&self, key: String) -> Result<CounterHandle, StartError> {
        let cell = {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(started.entry(key.clone()).or_default())
        };
        let start = || CounterHandle::start(&self.tenant, key, ());
        cell.get_or_try_init(start).await.cloned()
    }
}

/// A status and what is wrong, in a sentence.
type Refusal = (StatusCode, String);

async fn increment(
    State(counters): State<Counters>,
    Path(key): Path<String>,
    amount: String,
) -> Result<String, Refusal> {
    let by = amount.trim().parse().map_err(|error| {
        let what = format!("the amount is no whole number of 64 bits: {error}");
        (StatusCode::BAD_REQUEST, what)
    })?;
    let counter = counters.get(key).await.map_err(not_started)?;
    match counter.increment(by).await {
        Ok(value) => Ok(value.to_string()),
        Err(CallError::Handler(why)) => Err((StatusCode::BAD_REQUEST, why)),
        Err(error) => Err(refusal(error.is_retryable(), &error)),
    }
}

async fn value(
    State(counters): State<Counters>,
    Path(key): Path<String>,
) -> Result<String, Refusal> {
    let counter = counters.get(key).await.map_err(not_started)?;
    match counter.value().await {
        Ok(value) => Ok(value.to_string()),
        Err(error) => Err(refusal(error.is_retryable(), &error)),
    }
}

fn not_started(error: StartError) -> Refusal {
    let is_retryable = matches!(&error, StartError::Failed(failure) if failure.is_retryable());
    refusal(is_retryable, &error)
}

fn refusal(is_retryable: bool, error: &dyn Error) -> Refusal {
    let status = match is_retryable {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.to_string())
}

/// A web service of durable counters.
#[derive(Parser)]
struct Options {
    /// The folder that holds the store.
    #[arg(long, default_value = "service-data")]
    data: PathBuf,
    /// The port on this machine; 0 picks a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let asked_to_end = asked_to_end()?;
    let tenant = store::open(&options.data).await?;
    let counters = Counters {
        tenant: tenant.clone(),
        started: Arc::default(),
    };
    let routes = Router::new()
        .route("/c/{key}", get(value))
        .route("/c/{key}/increment", post(increment))
        .with_state(counters);

    let socket = TcpSocket::new_v4()?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, options.port).into())?;
    // So many may connect at the same moment. By default it is 128, and the others wait for a second.
    let listener = socket.listen(1_024)?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes)
        .with_graceful_shutdown(asked_to_end)
        .await?;
    dgen_server::shutdown(&tenant, Duration::from_secs(10)).await?;
    println!("ended");
    Ok(())
}

/// From now on Ctrl-C and SIGTERM do not kill the program, but resolve what is returned.
#[cfg(unix)]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(signal::ctrl_c().await) })
}
