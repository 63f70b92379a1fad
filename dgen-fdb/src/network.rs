//! The thread that runs the client library's network: started once, stopped when the process ends.

mod at_exit;
mod running;

use std::sync::{Mutex, MutexGuard, PoisonError};

use self::running::Running;
use foundationdb::{FdbError, api::FdbApiBuilder, options::NetworkOption};

/// What the client library's network is to be told before it starts: TLS, knobs, traces.
///
/// None of it is needed for a cluster without TLS, and all of it can be said in variables too:
/// `FDB_TLS_CERTIFICATE_FILE` and its kin, `FDB_NETWORK_OPTION_KNOB` and so on.
///
/// # Examples
/// ```no_run
/// dgen_fdb::Network::default()
///     .tls_certificate_file("/etc/shop/tls/cert.pem")
///     .tls_key_file("/etc/shop/tls/key.pem")
///     .tls_ca_file("/etc/shop/tls/ca.pem")
///     .start()?;
/// # Ok::<(), dgen_fdb::NetworkError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "nothing happens before `start`"]
pub struct Network {
    options: Vec<NetworkOption>,
}

/// Why the network could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It runs already, with other options, and can't be started twice in an OS process. Start it
    /// before the first database is opened.
    #[error("the client library's network runs already; start it before a database is opened")]
    Started,

    /// It was stopped, since the process is about to end.
    #[error("the client library's network was stopped: the process is ending")]
    Stopped,

    /// The client library refused an option, or could not start.
    #[error("{message} ({code})")]
    Refused {
        /// Its code.
        code: i32,
        /// Its text.
        message: String,
    },
}

impl Network {
    /// The file of this program's certificate.
    pub fn tls_certificate_file(self, path: impl Into<String>) -> Self {
        self.with(NetworkOption::TLSCertPath(path.into()))
    }

    /// The file of the certificate's private key.
    pub fn tls_key_file(self, path: impl Into<String>) -> Self {
        self.with(NetworkOption::TLSKeyPath(path.into()))
    }

    /// The file of the certificates that are trusted.
    pub fn tls_ca_file(self, path: impl Into<String>) -> Self {
        self.with(NetworkOption::TLSCaPath(path.into()))
    }

    /// The password of the private key.
    pub fn tls_password(self, password: impl Into<String>) -> Self {
        self.with(NetworkOption::TLSPassword(password.into()))
    }

    /// Whom to trust, in FoundationDB's notation: `Check.Valid=1,S.CN=db`.
    pub fn tls_verify_peers(self, rules: impl Into<String>) -> Self {
        self.with(NetworkOption::TLSVerifyPeers(rules.into().into_bytes()))
    }

    /// A knob of the client library.
    pub fn knob(self, name: &str, value: &str) -> Self {
        self.with(NetworkOption::Knob(format!("{name}={value}")))
    }

    /// The folder for the client library's trace files. Default: none are written.
    pub fn trace_directory(self, path: impl Into<String>) -> Self {
        self.with(NetworkOption::TraceEnable(path.into()))
    }

    /// A folder with client libraries of other versions, which are used for clusters of theirs.
    pub fn external_client_directory(self, path: impl Into<String>) -> Self {
        self.with(NetworkOption::ExternalClientDirectory(path.into()))
    }

    fn with(mut self, option: NetworkOption) -> Self {
        self.options.push(option);
        self
    }

    /// Starts the network's thread, which runs until the process ends.
    ///
    /// # Errors
    /// [`NetworkError`]; after [`NetworkError::Refused`] it can't be started in this OS process any
    /// more.
    pub fn start(self) -> Result<(), NetworkError> {
        let mut state = lock();
        match &*state {
            State::Fresh => {}
            State::Running(_) | State::Foreign => return Err(NetworkError::Started),
            State::Refused(error) => return Err(refused(*error)),
            State::Stopped => return Err(NetworkError::Stopped),
        }
        match boot(self.options) {
            Ok(running) => {
                *state = State::Running(running);
                drop(state);
                at_exit::register();
                Ok(())
            }
            Err(error) => {
                *state = State::Refused(error);
                Err(refused(error))
            }
        }
    }

    /// Says that this program uses the crate `foundationdb` too, and has started its network by
    /// itself: dgen then neither starts nor stops it.
    ///
    /// # Errors
    /// [`NetworkError::Started`], if dgen has started it.
    pub fn is_started_elsewhere() -> Result<(), NetworkError> {
        let mut state = lock();
        match &*state {
            State::Fresh | State::Foreign => {
                *state = State::Foreign;
                Ok(())
            }
            _ => Err(NetworkError::Started),
        }
    }
}

/// Starts the network without options, unless it runs.
pub(crate) fn ensure_started() -> Result<(), NetworkError> {
    match Network::default().start() {
        Ok(()) | Err(NetworkError::Started) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Tells that the network was used once more, and has answered.
pub(crate) fn used() {
    at_exit::used();
}

/// Sees to it that the network is stopped before what exists by now is taken down.
pub(crate) fn stop_before_exit() {
    at_exit::register();
}

enum State {
    Fresh,
    Running(Running),
    /// The program's own.
    Foreign,
    Refused(FdbError),
    Stopped,
}

static STATE: Mutex<State> = Mutex::new(State::Fresh);

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn boot(options: Vec<NetworkOption>) -> Result<Running, FdbError> {
    let mut network = FdbApiBuilder::default().build()?;
    for option in options {
        network = network.set_option(option)?;
    }
    Running::start(network)
}

/// Stops the network, if dgen runs it. Nothing waits for the client library any more: a transaction
/// in flight is one whose process has died.
fn stop() {
    let mut state = lock();
    if let State::Running(_) = *state
        && let State::Running(running) = std::mem::replace(&mut *state, State::Stopped)
    {
        drop(state);
        running.stop();
    }
}

fn refused(error: FdbError) -> NetworkError {
    NetworkError::Refused {
        code: error.code(),
        message: error.message().to_owned(),
    }
}
