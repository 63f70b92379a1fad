//! What the cases of a run work on: a part of the cluster's database, the servers in it, and the ways
//! to them.

use std::path::Path;

use dgen_backend::{Database, Error, KeyRange, Tenant, tuple::Subspace};

use crate::{
    Outcome,
    counter::CounterHandle,
    fdb::bout::{CALLERS_MAX, SERVERS_MAX},
};

/// What all keys of benchmarks begin with.
const PREFIX: &str = "dgen-bench";
/// The server that is consumed in other OS processes.
const SHARED: &str = "shared";

/// A run's part of the cluster.
pub(super) struct Stage {
    /// The cluster file, if one was named.
    cluster_file: Option<String>,
    /// What tells this run from others on the cluster.
    number: u64,
    tenant: Tenant,
    raw: foundationdb::Database,
    raw_keys: Vec<Vec<u8>>,
    near: Vec<CounterHandle>,
    far: Vec<CounterHandle>,
    shared: CounterHandle,
}

impl Stage {
    /// Starts the servers.
    pub(super) async fn open(cluster_file: Option<&Path>) -> Outcome<Self> {
        let cluster_file = match cluster_file.map(Path::to_str) {
            Some(None) => return Err("the cluster file's path is no UTF-8".into()),
            Some(path) => path,
            None => None,
        };
        // Two databases of one cluster know nothing of each other: what is sent through the second
        // goes to the queue, as from another OS process.
        let (near_db, far_db) = (database(cluster_file)?, database(cluster_file)?);
        let number = u64::from_le_bytes(near_db.env().random());
        let (tenant, far_tenant) = (tenant(near_db, number), tenant(far_db, number));
        let mut near = Vec::new();
        for server in 0..SERVERS_MAX {
            near.push(CounterHandle::start(&tenant, id(server), ()).await?);
        }
        let far = (0..SERVERS_MAX).map(|server| CounterHandle::client(&far_tenant, id(server)));
        let raw_keys = (0..CALLERS_MAX).map(|caller| {
            let caller = caller as u64;
            tenant.subspace().pack(&("raw", caller))
        });
        Ok(Self {
            cluster_file: cluster_file.map(str::to_owned),
            number,
            // The network runs by now.
            raw: foundationdb::Database::new(cluster_file)?,
            raw_keys: raw_keys.collect(),
            near,
            far: far.collect(),
            shared: CounterHandle::client(&far_tenant, SHARED),
            tenant,
        })
    }

    pub(super) fn cluster_file(&self) -> Option<&str> {
        self.cluster_file.as_deref()
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The client library's own.
    pub(super) fn raw(&self) -> &foundationdb::Database {
        &self.raw
    }

    /// The key of a caller that calls no server.
    pub(super) fn raw_key(&self, caller: usize) -> &[u8] {
        &self.raw_keys[caller]
    }

    /// A server whose process is next door.
    pub(super) fn near(&self, server: usize) -> &CounterHandle {
        &self.near[server]
    }

    /// The same server, reached through its queue.
    pub(super) fn far(&self, server: usize) -> &CounterHandle {
        &self.far[server]
    }

    /// The server that is consumed in other OS processes.
    pub(super) fn shared(&self) -> &CounterHandle {
        &self.shared
    }

    /// Stops the servers and clears all that the run has written.
    pub(super) async fn clear(&self) -> Outcome {
        for server in &self.near {
            server.stop().await;
        }
        let all = KeyRange::subspace(self.tenant.subspace());
        let db = self.tenant.database();
        db.transact::<_, Error, _, _>(|tx| std::future::ready(tx.clear_range(&all)))
            .await?;
        Ok(())
    }
}

/// Starts the shared server in this OS process, in the run of that number.
pub(super) async fn start_shared(
    cluster_file: Option<&Path>,
    number: u64,
) -> Outcome<CounterHandle> {
    let path = cluster_file.and_then(Path::to_str);
    let tenant = tenant(database(path)?, number);
    Ok(CounterHandle::start(&tenant, SHARED, ()).await?)
}

fn database(cluster_file: Option<&str>) -> Outcome<Database> {
    let options = dgen_fdb::Options::default();
    let options = match cluster_file {
        Some(path) => options.cluster_file(path),
        None => options,
    };
    Ok(options.database()?)
}

fn tenant(db: Database, number: u64) -> Tenant {
    Tenant::new(db, Subspace::from((PREFIX, number)))
}

fn id(server: usize) -> String {
    format!("counter-{server}")
}
