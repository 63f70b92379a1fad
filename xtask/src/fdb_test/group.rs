//! A program that was started, with all that it starts in turn: one process group, which is killed
//! as a whole when the [`Group`] is dropped.
//!
//! A terminal's Ctrl-C does not reach the group. It reaches us, and we end the group.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, ChildStdout, Command, ExitStatus},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::outcome::Outcome;

/// How often a program that runs is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// Kills its processes when it is dropped, however they and we are doing.
pub(super) struct Group {
    leader: Child,
    /// Not once the leader was waited for: its number may be another's by then.
    is_killed_on_drop: bool,
}

impl Group {
    /// Starts `command` in a group of its own.
    pub(super) fn spawn(command: &mut Command) -> Outcome<Self> {
        let leader = command
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Self {
            leader,
            is_killed_on_drop: true,
        })
    }

    /// Waits until the program has ended, and kills what it left behind. Asks `go_on` in between;
    /// if that is an error, the program is killed too.
    pub(super) fn wait(mut self, go_on: impl Fn() -> Outcome) -> Outcome<ExitStatus> {
        while !self.has_ended()? {
            go_on()?;
            #[expect(
                clippy::disallowed_methods,
                reason = "only the operating system knows when a program ends; no simulation runs xtask"
            )]
            std::thread::sleep(GLANCE);
        }
        Ok(self.end()?)
    }

    /// Whether the program has ended. This does not wait for it, so that its number stays its own.
    pub(super) fn has_ended(&self) -> Outcome<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(self.pid()), options)?.is_some())
    }

    /// The number of the program's process, and of the group.
    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.leader)
    }

    /// What the program prints, if its command has a pipe for that.
    pub(super) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.leader.stdout.take()
    }

    /// Lets the processes live on.
    pub(super) fn keep(&mut self) {
        self.is_killed_on_drop = false;
    }

    /// Kills every process of the group.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if self.is_killed_on_drop {
            // There is at least the leader, which was not waited for. macOS answers EPERM if it
            // has ended; then it is all there is.
            let _ = kill_process_group(self.pid(), Signal::KILL);
        }
        self.is_killed_on_drop = false;
        self.leader.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.is_killed_on_drop {
            // An error here leaves nothing that could be done.
            let _ = self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read},
        process::Stdio,
    };

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        command
    }

    #[test]
    fn a_group_dies_when_it_is_dropped() {
        // The pipe is at its end once every process that holds it is gone.
        let mut group = Group::spawn(&mut shell("sleep 1000 & echo up; wait")).unwrap();
        let mut lines = BufReader::new(group.take_stdout().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        assert!(!group.has_ended().unwrap());
        drop(group);
        assert_eq!(lines.read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn what_a_program_leaves_behind_dies_when_it_ends() {
        let mut group = Group::spawn(&mut shell("sleep 1000 & exit 7")).unwrap();
        let mut pipe = group.take_stdout().unwrap();
        let status = group.wait(|| Ok(())).unwrap();
        assert_eq!(status.code(), Some(7));
        assert_eq!(pipe.read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn a_program_that_may_not_go_on_dies() {
        let mut group = Group::spawn(&mut shell("sleep 1000")).unwrap();
        let mut pipe = group.take_stdout().unwrap();
        let error = group.wait(|| Err("no further".into())).unwrap_err();
        assert_eq!(error.to_string(), "no further");
        assert_eq!(pipe.read_to_end(&mut Vec::new()).unwrap(), 0);
    }
}
