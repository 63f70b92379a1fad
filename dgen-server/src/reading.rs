//! A call that only reads, answered by its caller: no other task is woken for it.
//!
//! A process that waits has left in its mailbox what it [knows](Known) of its server. If the
//! [count of changes](crate::changes) is still the one that belongs to that, then nothing waits in the queue, nothing
//! holds the server up, and the state in memory is the current one; a look at that key is all that the process
//! would do too. If anything is otherwise, the process handles the call like any other.

use std::sync::Arc;

use dgen_backend::planted::{self, Bug};

use crate::{
    Server,
    address::Address,
    changes,
    handling::shield,
    look::Quiet,
    mailbox::Mailbox,
    reply::{Answer, Given},
    state::Cached,
};

/// What a process knows of its server, until somebody changes it.
pub(crate) struct Known<S> {
    pub(crate) cached: Arc<Cached<S>>,
    pub(crate) quiet: Quiet,
}

/// The answer to `call`, if it only reads and nothing is in its way.
pub(crate) async fn read<S: Server>(
    address: &Address,
    mailbox: &Mailbox<S>,
    call: &S::Call,
) -> Option<Answer> {
    let Known { cached, quiet } = mailbox.known()?;
    let env = address.tenant.env();
    if !quiet.is_to_be_relied_on(env, env.now()) {
        return None;
    }
    let reply = tracing::debug_span!("read", server = %address)
        .in_scope(|| shield(|| cached.state.handle_read(call)))
        .ok()??;
    let Given::Answer(answer) = reply.into_given() else {
        return None;
    };
    // Begun behind the look into the mailbox: it sees all that was committed before the call.
    let tx = address.tenant.database().begin().ok()?;
    let is_current = changes::read(&tx, &address.keys).await.ok()? == Some(quiet.changes);
    if !is_current && !planted::is(Bug::ReadWithoutLook) {
        mailbox.disprove(quiet.changes);
        return None;
    }
    address.metrics().read();
    // Nothing of this need ever wait: others want the thread too.
    tokio::task::coop::consume_budget().await;
    Some(answer)
}

impl<S> Clone for Known<S> {
    fn clone(&self) -> Self {
        Self {
            cached: Arc::clone(&self.cached),
            quiet: self.quiet,
        }
    }
}
