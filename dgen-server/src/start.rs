//! Starting a server: its state is stored if it has none, then a process consumes.

use std::sync::Arc;

use crate::{
    Server, StartError, StartOptions,
    address::Address,
    attempt::{AttemptError, Cached, NewState, load, write_state},
    control::{Remote, control},
    decision::ANSWER_SIZE_MAX_BYTES,
    mailbox::mailbox,
    process::{Batch, Process},
};

/// Starts the server at `address`; returns the remote of its process, if it is to consume.
pub(crate) async fn start<S: Server>(
    address: &Arc<Address>,
    args: S::Args,
    options: &StartOptions,
) -> Result<Option<Remote>, StartError<S::InitError>> {
    let initial = S::init(args).map_err(StartError::Init)?;
    let cached = store_initial(address, &initial, options.reset)
        .await
        .map_err(|error| error.into_failure(address))?;
    if !options.consume {
        return Ok(None);
    }
    let (sender, inbox) = mailbox();
    let (control, remote) = control();
    let registration = address.registry.register(address.keys.prefix(), sender);
    let process = Process {
        address: Arc::clone(address),
        initial,
        cached: cached.filter(|_| options.cache),
        keeps_cache: options.cache,
        poll_interval: options.poll_interval,
        inbox,
        control,
        registration,
        batch: Batch::default(),
        answer_size_max_bytes: ANSWER_SIZE_MAX_BYTES,
        units: Vec::new(),
    };
    address
        .tenant
        .env()
        .spawn(process.run())
        .map_err(StartError::NoRuntime)?;
    Ok(Some(remote))
}

/// The state there is, or `initial`, stored.
async fn store_initial<S: Server>(
    address: &Address,
    initial: &S,
    reset: bool,
) -> Result<Option<Arc<Cached<S>>>, AttemptError> {
    let state = address
        .tenant
        .transact(|tx| async move {
            if !reset && let Some(cached) = load::<S>(&tx, address).await? {
                return Ok::<_, AttemptError>(NewState::Unchanged(Some(cached)));
            }
            write_state(&tx, address, None, initial.clone())
        })
        .await?;
    Ok(state.into_cached().await)
}
