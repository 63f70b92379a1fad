//! Starting a server: its state is stored if it has none, then a process consumes.

use std::sync::Arc;

use crate::{
    Server, StartError,
    address::Address,
    control::{Remote, control},
    handling::shielded,
    mailbox::mailbox,
    process::Process,
    registry::Registry,
    remedy::AttemptError,
    state::{self, Cached, NewState},
};

/// Where a started process is reached.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub(crate) remote: Remote,
    /// Its number in the registry.
    pub(crate) number: u64,
}

/// Starts the server at `address`; returns where its process is reached, if it is to consume.
pub(crate) async fn start<S: Server>(
    address: &Arc<Address>,
    args: S::Args,
) -> Result<Option<Started>, StartError<S::InitError>> {
    let initial = S::init(args).map_err(StartError::Init)?;
    let options = &address.options;
    let cached = shielded(store_initial(address, &initial, options.reset))
        .await
        .unwrap_or_else(|panic| Err(AttemptError::Panicked(panic)))
        .map_err(|error| error.into_failure(address))?;
    if !options.consume {
        return Ok(None);
    }
    let (mailbox, inbox) = mailbox();
    let (control, remote) = control();
    let registration = Registry::register(address, mailbox, &remote);
    let number = registration.number();
    let process = Process::new(
        Arc::clone(address),
        Some(cached).filter(|_| options.cache),
        inbox,
        control,
        registration,
    );
    address
        .tenant
        .env()
        .spawn(process.run())
        .map_err(StartError::NoRuntime)?;
    Ok(Some(Started { remote, number }))
}

/// The state there is, or `initial`, stored.
async fn store_initial<S: Server>(
    address: &Address,
    initial: &S,
    is_reset: bool,
) -> Result<Arc<Cached<S>>, AttemptError> {
    let state = address
        .tenant
        .transact(|tx| async move {
            if !is_reset && let Some(cached) = state::load::<S>(&tx, address).await? {
                return Ok::<_, AttemptError>(NewState::Unchanged(cached));
            }
            state::write_first(&tx, address, initial.clone()).await
        })
        .await?;
    Ok(state.committed().await)
}
