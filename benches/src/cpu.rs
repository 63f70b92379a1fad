//! The processor time of this OS process: what is left of a figure when the machine is busy with
//! something else.

use std::time::Duration;

/// The time so far, of all threads. None where it can't be told.
#[cfg(unix)]
pub(crate) fn processor_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::ProcessCPUTime).try_into().ok()
}

/// The time so far, of all threads. None where it can't be told.
#[cfg(not(unix))]
pub(crate) fn processor_time() -> Option<Duration> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn work_takes_processor_time() {
        let before = processor_time().expect("it can be told");
        while processor_time().expect("it can be told") < before + Duration::from_millis(1) {
            std::hint::spin_loop();
        }
    }
}
