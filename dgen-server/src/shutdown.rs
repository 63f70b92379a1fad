//! Ending all processes of a tenant gracefully.

use std::time::Duration;

use dgen_backend::Tenant;

use crate::{
    StopReason, Unfinished,
    control::Request,
    race::{First, race},
    registry::Registry,
};

/// Ends all processes of the tenant's servers in this OS process, and waits until they have ended:
/// each finishes what it has taken on, its locked work included. What comes meanwhile waits in the
/// queues, for the next consumer.
///
/// Call it before the program ends, and the store can be closed behind it. A program that just ends loses
/// nothing either. Not waited for is the locked work of a priority message that its caller handled, no
/// process of the server being here.
///
/// # Errors
/// [`Unfinished`] if locked work takes longer than `deadline`: it is dropped then, its lock is let go,
/// and another consumer does it again.
///
/// # Cancel safety
/// Dropped before it resolves, the processes end all the same, but without a deadline.
///
/// # Examples
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let tenant = dgen_server::in_memory()?;
/// // .. start servers, work ..
/// dgen_server::shutdown(&tenant, std::time::Duration::from_secs(10)).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn shutdown(tenant: &Tenant, deadline: Duration) -> Result<(), Unfinished> {
    let registry = Registry::of(tenant.database());
    let remotes = registry.remotes(tenant.subspace().bytes());
    for (_, remote) in &remotes {
        remote.request(Request::Finish);
    }
    let mut deadline_over = tenant.env().sleep(deadline);
    let mut unfinished = Vec::new();
    let mut is_over = false;
    for (name, remote) in remotes {
        if !is_over {
            match race(remote.ended(), &mut deadline_over).await {
                First::One(_) => continue,
                First::Other(()) => is_over = true,
            }
        }
        remote.request(Request::Stop);
        unfinished.push((name, remote));
    }
    let mut servers = Vec::new();
    for (name, remote) in unfinished {
        if remote.ended().await == StopReason::Requested {
            servers.push(name);
        }
    }
    if servers.is_empty() {
        Ok(())
    } else {
        Err(Unfinished {
            after: deadline,
            servers,
        })
    }
}
