//! How a server is started.

use std::time::Duration;

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
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            consume: true,
            reset: false,
            cache: true,
            name: None,
            poll_interval: Duration::from_secs(5),
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
}
