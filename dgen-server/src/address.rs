//! Which server, and how to reach it.

use std::{fmt, sync::Arc};

use dgen_backend::Tenant;

use crate::{Server, Tuid, keys::Keys, registry::Registry};

/// A server: its tenant, its name and id, its keys.
pub(crate) struct Address {
    pub(crate) tenant: Tenant,
    pub(crate) name: Arc<str>,
    pub(crate) id: Tuid,
    pub(crate) keys: Keys,
    pub(crate) registry: Arc<Registry>,
}

impl Address {
    pub(crate) fn new<S: Server>(tenant: &Tenant, name: Option<&str>, id: Tuid) -> Self {
        let name = name.unwrap_or(S::NAME);
        Self {
            keys: Keys::new(tenant, name, &id),
            name: name.into(),
            id,
            registry: Registry::of(tenant.database()),
            tenant: tenant.clone(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.id)
    }
}
