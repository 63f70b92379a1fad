//! Stopping the network when the process ends, before anything of the client library is taken down.
//!
//! The end of a process runs, in this order: the destructors of the main thread's locals, if `main`
//! returned or `exit` was called there; then what was registered with `atexit` and the destructors
//! of C++ statics, the latest first. The client library makes some of its statics when it first needs
//! them, and its network thread uses them until it is stopped. So the network is stopped by a local
//! of the main thread, if a database was opened there; and else by an `atexit` function that is
//! registered anew each time that a database is opened or dropped, and ever more rarely as it is
//! used: behind the statics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::stop;

/// Transactions whose commits were answered, of all databases.
static USES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OF_THIS_THREAD: Sentinel = const { Sentinel };
}

struct Sentinel;

impl Drop for Sentinel {
    fn drop(&mut self) {
        if is_main_thread() {
            stop();
        }
    }
}

/// Sees to it that the network is stopped before what exists by now is taken down.
pub(super) fn register() {
    OF_THIS_THREAD.with(|_made| ());
    #[expect(unsafe_code, reason = "a call of the C library")]
    // SAFETY: `stop_at_exit` may be called at any time, any number of times. If there is no memory to
    // register it, earlier registrations or the process's own end stop the network.
    let _registered = unsafe { libc::atexit(stop_at_exit) };
}

/// Registers anew after 1, 2, 4, 8, .. uses.
pub(super) fn used() {
    let uses = USES.fetch_add(1, Ordering::Relaxed) + 1;
    if uses.is_power_of_two() {
        register();
    }
}

extern "C" fn stop_at_exit() {
    stop();
}

#[cfg(target_os = "linux")]
fn is_main_thread() -> bool {
    #[expect(unsafe_code, reason = "calls of the C library")]
    // SAFETY: they only read the ids of the process and the thread.
    unsafe {
        libc::getpid() == libc::gettid()
    }
}

#[cfg(target_os = "macos")]
fn is_main_thread() -> bool {
    #[expect(unsafe_code, reason = "a call of the C library")]
    // SAFETY: it only asks which thread this is.
    unsafe {
        libc::pthread_main_np() != 0
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn is_main_thread() -> bool {
    false
}
