//! The processor time of this OS process: what is left of a figure when the machine is busy with
//! something else.

use std::{fs, time::Duration};

/// Linux counts it in hundredths of a second, whatever the kernel's own clock.
const TICK: Duration = Duration::from_millis(10);

/// The time so far, of all threads. None where it can't be told.
pub(super) fn processor_time() -> Option<Duration> {
    time_of(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// What such a file says.
fn time_of(stat: &str) -> Option<Duration> {
    // The second field, the program's name in parentheses, may hold anything.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 900 0 0 0 150 25 0 0 20 0 8 0 41 0 0";
        assert_eq!(time_of(stat), Some(Duration::from_millis(1_750)));
    }
}
