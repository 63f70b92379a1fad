//! The server that the tests of this crate act on, written by hand, and the stores they run on.

pub(crate) mod aging;
pub(crate) mod desk;
pub(crate) mod elsewhere;
pub(crate) mod faulty;
pub(crate) mod gate;
pub(crate) mod ledger;
pub(crate) mod mocked;
pub(crate) mod mortal;
pub(crate) mod patience;
pub(crate) mod recorder;
pub(crate) mod witness;

use std::path::Path;

use dgen_server::{Context, Handle, Never, Reply, Server, Tenant};
use dgen_testkit::counting::{Counts, counted};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) value: i64,
    pub(crate) seen: Vec<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum CounterCall {
    Increment { by: i64 },
    Value,
    Seen,
    Withdraw { by: i64 },
    Echo { size_bytes: usize },
    Panic,
    Stop,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum CounterCast {
    Add { by: i64 },
    Remember { number: i64 },
    Panic,
    Stop,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{missing} short")]
pub(crate) struct Overdrawn {
    pub(crate) missing: i64,
}

impl Server for Counter {
    const NAME: &'static str = "Counter";
    type Args = i64;
    type InitError = Never;
    type Call = CounterCall;
    type Cast = CounterCast;
    type Info = Never;

    fn init(value: i64) -> Result<Self, Never> {
        Ok(Self {
            value,
            seen: Vec::new(),
        })
    }

    fn handle_call(&mut self, call: CounterCall, cx: &mut Context<Self>) -> Reply {
        match call {
            CounterCall::Increment { by } => {
                self.value += by;
                Reply::ok(&self.value)
            }
            CounterCall::Value | CounterCall::Seen => unreachable!("a read goes to `handle_read`"),
            CounterCall::Withdraw { by } => {
                self.value -= by;
                if self.value < 0 {
                    return Reply::err(&Overdrawn {
                        missing: -self.value,
                    });
                }
                Reply::ok(&self.value)
            }
            CounterCall::Echo { size_bytes } => Reply::ok(&"x".repeat(size_bytes)),
            CounterCall::Panic => {
                self.value = -1;
                panic!("asked to")
            }
            CounterCall::Stop => {
                self.value += 1;
                cx.stop("asked to");
                Reply::ok(&self.value)
            }
        }
    }

    fn handle_read(&self, call: &CounterCall) -> Option<Reply> {
        match call {
            CounterCall::Value => Some(Reply::ok(&self.value)),
            CounterCall::Seen => Some(Reply::ok(&self.seen)),
            _ => None,
        }
    }

    fn handle_cast(&mut self, cast: CounterCast, cx: &mut Context<Self>) {
        match cast {
            CounterCast::Add { by } => self.value += by,
            CounterCast::Remember { number } => self.seen.push(number),
            CounterCast::Panic => panic!("asked to"),
            CounterCast::Stop => cx.stop("asked to"),
        }
    }
}

pub(crate) type CounterHandle = Handle<Counter>;

pub(crate) async fn increment(counter: &CounterHandle, by: i64) -> i64 {
    counter
        .call::<i64, Never>(CounterCall::Increment { by })
        .await
        .expect("an increment works")
}

pub(crate) async fn value(counter: &CounterHandle) -> i64 {
    counter
        .call::<i64, Never>(CounterCall::Value)
        .await
        .expect("a read works")
}

/// A store to test on, and what keeps it alive.
pub(crate) struct Store {
    pub(crate) tenant: Tenant,
    folder: Option<tempfile::TempDir>,
}

impl Store {
    pub(crate) fn in_memory() -> Self {
        Self {
            tenant: dgen_server::in_memory().expect("memory can be had"),
            folder: None,
        }
    }

    pub(crate) fn on_disk() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self {
            tenant: open(folder.path()),
            folder: Some(folder),
        }
    }

    /// In memory, where reads, commits and watches fail now and then.
    pub(crate) fn faulty() -> Self {
        let plain = Self::in_memory().tenant;
        let db = faulty::faulty(plain.database().clone());
        Self {
            tenant: Tenant::new(db, plain.subspace().clone()),
            folder: None,
        }
    }

    dgen_testkit::on_cluster! {
        pub(crate) fn on_cluster() -> Self {
            let db = dgen_testkit::cluster::database(dgen_backend::env::Env::system());
            Self {
                tenant: Tenant::new(db, dgen_backend::tuple::Subspace::from("dgen")),
                folder: None,
            }
        }
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(self) -> Self {
        let Self { tenant, folder } = self;
        let Some(folder) = folder else {
            // A database with a registry of its own, on what is there.
            let tenant = elsewhere::elsewhere(&tenant);
            return Self { tenant, folder };
        };
        drop(tenant);
        Self {
            tenant: open(folder.path()),
            folder: Some(folder),
        }
    }
}

/// The store, and what is read of it and written to it through this tenant.
pub(crate) fn counting(store: &Store) -> (Tenant, Counts) {
    let (db, counts) = counted(store.tenant.database().clone());
    (Tenant::new(db, store.tenant.subspace().clone()), counts)
}

fn open(path: &Path) -> Tenant {
    dgen_server::open(path).expect("the store opens")
}

/// Runs each test on disk, in memory, in memory with faults, and on a cluster where there is one.
/// `faultless = "why"` leaves the faults out.
macro_rules! on_each_store {
    ($($(#[$attribute:meta])* async fn $name:ident(
        $store:ident: Store $(, faultless = $reason:literal)?
    ) $body:block)*) => {
        mod with_faults {
            #[allow(unused_imports, reason = "a file may have no test with faults")]
            use super::*;
            $(unless! { [$($reason)?]
                $(#[$attribute])* #[tokio::test] async fn $name() {
                    let $store = Store::faulty();
                    $body
                }
            })*
        }
        mod in_memory {
            use super::*;
            $($(#[$attribute])* #[tokio::test] async fn $name() {
                let $store = Store::in_memory();
                $body
            })*
        }
        mod on_disk {
            use super::*;
            $($(#[$attribute])* #[tokio::test] async fn $name() {
                let $store = Store::on_disk();
                $body
            })*
        }
        dgen_testkit::on_cluster! {
            mod on_cluster {
                use super::*;
                $($(#[$attribute])* #[tokio::test] async fn $name() {
                    let $store = Store::on_cluster();
                    $body
                })*
            }
        }
    };
}

/// The item, unless there is a reason against it.
macro_rules! unless {
    ([] $item:item) => {
        $item
    };
    ([$reason:literal] $item:item) => {};
}

pub(crate) use on_each_store;
pub(crate) use unless;
