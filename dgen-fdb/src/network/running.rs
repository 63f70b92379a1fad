//! The network's thread, and the one that stops it.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread::{self, JoinHandle, Thread},
};

use foundationdb::{Database, FdbError, api::NetworkBuilder};

// https://apple.github.io/foundationdb/api-error-codes.html
const PLATFORM_ERROR: i32 = 1500;
const INTERNAL_ERROR: i32 = 4100;

/// The network that runs. It is stopped from a thread of its own, which waits for that: the one that
/// ends the process has lost its thread-local values by then, which the client library uses, and so
/// does std to start a thread.
pub(super) struct Running {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Starts the network; returns once it has been through its loop.
    pub(super) fn start(network: NetworkBuilder) -> Result<Self, FdbError> {
        let (stop, to_stop) = mpsc::channel();
        let (tell_started, started) = mpsc::channel();
        let work = move || {
            // SAFETY: the network has to be stopped before the process ends, which `at_exit` sees to.
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
    pub(super) fn stop(self) {
        drop(self.stop);
        let _panicked = self.thread.join();
    }
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
