//! The thread that runs the client library's network: started once, stopped when the process ends.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, JoinHandle, Thread},
};

use foundationdb::{
    Database, FdbError,
    api::{FdbApiBuilder, NetworkBuilder},
    options::NetworkOption,
};

// https://apple.github.io/foundationdb/api-error-codes.html
const PLATFORM_ERROR: i32 = 1500;
const INTERNAL_ERROR: i32 = 4100;

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

enum State {
    Fresh,
    Running(Stopper),
    /// The program's own.
    Foreign,
    Refused(FdbError),
    Stopped,
}

static STATE: Mutex<State> = Mutex::new(State::Fresh);

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops the network, from a thread of its own: the one that ends the process has lost its thread-local
/// values by then, and the client library would use them.
struct Stopper {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Stopper {
    /// A thread that starts the network, and waits until it is to be stopped.
    fn start(network: NetworkBuilder) -> Result<Self, FdbError> {
        let (stop, to_stop) = mpsc::channel();
        let (tell_started, started) = mpsc::channel();
        let work = move || {
            // SAFETY: the network has to be stopped before the process ends, which `stop_at_exit` does;
            // it is registered already.
            #[expect(
                unsafe_code,
                reason = "the client library's network can't be started without"
            )]
            let running = match unsafe { network.boot() } {
                Ok(running) => running,
                Err(error) => {
                    let _ = tell_started.send(Err(error));
                    return;
                }
            };
            run_through();
            stop_before_exit();
            // Whoever started this waits for it, and keeps the end of the other.
            let _ = tell_started.send(Ok(()));
            let _ = to_stop.recv();
            drop(running);
        };
        let name = "fdb-stop".to_owned();
        let spawned = thread::Builder::new().name(name).spawn(work);
        let thread = spawned.map_err(|_| FdbError::from_code(PLATFORM_ERROR))?;
        let started = started.recv();
        started.map_err(|_| FdbError::from_code(INTERNAL_ERROR))??;
        Ok(Self { stop, thread })
    }

    /// Returns once the network has stopped, and its threads have ended: they would clear away what
    /// the end of the process does.
    fn stop(self) {
        drop(self.stop);
        let _panicked = self.thread.join();
    }
}

fn boot(options: Vec<NetworkOption>) -> Result<Stopper, FdbError> {
    let mut network = FdbApiBuilder::default().build()?;
    for option in options {
        network = network.set_option(option)?;
    }
    // If nobody would stop the network, it is not started.
    if !stop_before_exit() {
        return Err(FdbError::from_code(INTERNAL_ERROR));
    }
    Stopper::start(network)
}

/// Returns once the network has been through its loop, and has made what it needs for that.
fn run_through() {
    // Nothing is asked of any cluster.
    let Ok(nobody) = Database::from_path("/dev/null") else {
        return;
    };
    // More than one may be taken up in one round.
    for _ in 0..16 {
        if let Ok(tx) = nobody.create_trx() {
            let _refused = block_on(tx.get_read_version());
        }
    }
}

/// What `future` returns. Blocks.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut cx) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// The network has been used: with the first use, the second, the fourth and so on, what the client
/// library has made until then outlives the network.
pub(crate) fn used() {
    static USES: AtomicU64 = AtomicU64::new(0);
    let earlier_uses = USES.fetch_add(1, Ordering::Relaxed);
    if (earlier_uses + 1).is_power_of_two() {
        stop_before_exit();
    }
}

/// Has the network stopped when the process ends, before anything goes that is there now; says whether
/// that could be arranged.
///
/// The client library makes some of its values when it first needs them, and they go with the process
/// in the opposite order: those that were made after this was called are gone before the network
/// stops, which still uses them. So it is called again behind the first uses.
pub(crate) fn stop_before_exit() -> bool {
    // SAFETY: a function without arguments, which may run more than once.
    #[expect(unsafe_code, reason = "nothing in std runs when a process ends")]
    let refused = unsafe { libc::atexit(stop_at_exit) };
    refused == 0
}

/// Runs when `main` has returned or `exit` was called. Nothing waits for the client library then: a
/// transaction in flight is one whose process has died.
extern "C" fn stop_at_exit() {
    let state = std::mem::replace(&mut *lock(), State::Stopped);
    if let State::Running(stopper) = state {
        stopper.stop();
    }
}

fn refused(error: FdbError) -> NetworkError {
    NetworkError::Refused {
        code: error.code(),
        message: error.message().to_owned(),
    }
}
