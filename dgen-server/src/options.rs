//! How a server is started.

use std::time::Duration;

/// How a server is started, and how its process works.
///
/// Processes of one server, and clients that send priority messages, had better have the same ones: what
/// holds is what the process says that handles a message.
///
/// Options of [`Handle::start_with`](crate::Handle::start_with) and
/// [`Handle::client_with`](crate::Handle::client_with).
///
/// # Examples
/// ```
/// use dgen_server::StartOptions;
/// let options = StartOptions::default().reset(true).name("counter-v2");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartOptions {
    /// Whether this process consumes messages, or only sends them. Default: true.
    pub consume: bool,
    /// Whether the state begins anew from `init` even where there is one. Default: false.
    pub reset: bool,
    /// Whether the state is kept in memory between messages. Default: true.
    pub cache: bool,
    /// The stored name, in place of the type's. Default: none.
    pub name: Option<String>,
    /// How often a consumer looks at its queue even if nothing woke it, and a caller at its reply:
    /// what a lost wake-up costs at most. Default: 5 seconds.
    pub poll_interval: Duration,
    /// How often a message that can't be handled is tried before it becomes a dead letter. At least
    /// once. Default: 5.
    pub max_attempts: u32,
    /// How long a message that this version does not know is kept at the head of the queue for a newer
    /// version, before it becomes a dead letter. Default: 10 minutes.
    pub unknown_message_grace: Duration,
    /// How long a lock outlives its holder: another consumer takes it over when it was not renewed for
    /// so long. Its holder renews it three times as often. At least 30 milliseconds. Default: 5 seconds.
    pub lock_lease: Duration,
    /// How long a message's [id](crate::Call::id) is remembered. Default: 24 hours.
    pub id_window: Duration,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            consume: true,
            reset: false,
            cache: true,
            name: None,
            poll_interval: Duration::from_secs(5),
            max_attempts: 5,
            unknown_message_grace: Duration::from_secs(600),
            lock_lease: Duration::from_secs(5),
            id_window: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl StartOptions {
    /// Whether this process consumes messages, or only sends them.
    #[must_use]
    pub fn consume(mut self, consume: bool) -> Self {
        self.consume = consume;
        self
    }

    /// Whether the state begins anew from `init` even where there is one.
    #[must_use]
    pub fn reset(mut self, reset: bool) -> Self {
        self.reset = reset;
        self
    }

    /// Whether the state is kept in memory between messages.
    #[must_use]
    pub fn cache(mut self, cache: bool) -> Self {
        self.cache = cache;
        self
    }

    /// The stored name, in place of the type's.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How often to look without being woken.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// How often a message that can't be handled is tried.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// How long a message that this version does not know is kept for a newer one.
    #[must_use]
    pub fn unknown_message_grace(mut self, grace: Duration) -> Self {
        self.unknown_message_grace = grace;
        self
    }

    /// How long a lock outlives its holder.
    #[must_use]
    pub fn lock_lease(mut self, lease: Duration) -> Self {
        self.lock_lease = lease;
        self
    }

    /// How long a message's id is remembered.
    #[must_use]
    pub fn id_window(mut self, window: Duration) -> Self {
        self.id_window = window;
        self
    }
}
