//! Which server, and how to reach it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use dgen_backend::Tenant;

use crate::{
    Server, StartOptions, Tuid,
    calls::Calls,
    keys::Keys,
    metering::{Meters, Metrics},
    registry::Registry,
};

/// The shortest poll interval, so that 0 is no busy loop.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// A server: its tenant, its name and id, its keys, and the options of who reaches it.
pub(crate) struct Address {
    pub(crate) tenant: Tenant,
    pub(crate) name: Arc<str>,
    pub(crate) id: Tuid,
    pub(crate) keys: Keys,
    pub(crate) registry: Arc<Registry>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) options: StartOptions,
    metrics: OnceLock<Arc<Metrics>>,
}

impl Address {
    pub(crate) fn new<S: Server>(tenant: &Tenant, id: Tuid, options: StartOptions) -> Self {
        let name = options.name.as_deref().unwrap_or(S::NAME);
        Self {
            keys: Keys::new(tenant, name, &id),
            name: name.into(),
            id,
            registry: Registry::of(tenant.database()),
            calls: Calls::of(tenant.database()),
            tenant: tenant.clone(),
            options,
            metrics: OnceLock::new(),
        }
    }

    /// How often to look without being woken.
    pub(crate) fn poll_interval(&self) -> Duration {
        self.options.poll_interval.max(POLL_INTERVAL_MIN)
    }

    /// What an operator counts of this server.
    pub(crate) fn metrics(&self) -> &Metrics {
        self.metrics
            .get_or_init(|| self.tenant.database().extension::<Meters>().of(&self.name))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.id)
    }
}
