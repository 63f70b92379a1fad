//! The programs of one store, one after the other.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use dgen_testkit::Random;

use crate::{
    child::Child,
    harness::Harness,
    history::History,
    machine::Machine,
    plan::{Kill, Life, Mode},
    running::{Event, Running},
};

/// A child that takes longer hangs.
const AGE_MAX: Duration = Duration::from_secs(120);

/// Of a failure's text at most so much is shown.
const FAILURE_CHARS_MAX: usize = 2_000;

/// What became of the programs of a store.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How many were killed, by mode.
    pub(crate) kills: BTreeMap<Mode, u64>,
    /// How many of them had not opened the store yet.
    pub(crate) kills_in_opening: u64,
    /// How many of them left a store half made.
    pub(crate) kills_in_making: u64,
    /// How many of them left two log segments.
    pub(crate) kills_in_switch: u64,
    pub(crate) acknowledgements: u64,
    /// The longest that one said nothing, real flushes aside.
    pub(crate) silence: Duration,
    pub(crate) audits: u64,
    pub(crate) waits: u64,
    pub(crate) failure: Option<Failure>,
}

/// Something was lost, or came twice, or a program ended by itself.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) round: u64,
    pub(crate) life: String,
    pub(crate) what: String,
}

pub(crate) struct Series<'a> {
    harness: &'a Harness,
    folder: &'a Path,
    random: Random,
    last: Option<Life>,
    machine: Machine,
    /// Whether the directory has changed without a journal.
    is_unread: bool,
    history: History,
    report: Report,
}

/// Why a life is no good.
enum Bad {
    What(String),
    Io(io::Error),
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<String> for Bad {
    fn from(what: String) -> Self {
        Self::What(what)
    }
}

impl<'a> Series<'a> {
    /// The programs that follow from `seed`, in `folder`, which is empty.
    pub(crate) fn new(harness: &'a Harness, folder: &'a Path, seed: u64) -> Self {
        Self {
            harness,
            folder,
            random: Random::new(seed),
            last: None,
            machine: Machine::new(&folder.join("store")),
            is_unread: false,
            history: History::default(),
            report: Report::default(),
        }
    }

    /// Kills `rounds` programs, and sees the last one to its end.
    pub(crate) fn run(mut self, rounds: u64) -> io::Result<Report> {
        let mut next = None;
        for round in 0..rounds {
            let (life, running) = match next.take() {
                Some(started) => started,
                None => {
                    let life = self.draw();
                    let running = self.start(&self.child(&life, round), round)?;
                    (life, running)
                }
            };
            match self.live(round, rounds, &life, running) {
                Ok(successor) => {
                    next = successor;
                    self.last = Some(life.clone());
                }
                Err(Bad::Io(error)) => return Err(error),
                Err(Bad::What(what)) => {
                    let life = format!("{}, killed {}", life.mode, life.kill);
                    return self.failed(round, life, what);
                }
            }
            *self.report.kills.entry(life.mode).or_default() += 1;
        }
        for is_later in [false, true] {
            match self.end(rounds, is_later) {
                Ok(()) => {}
                Err(Bad::Io(error)) => return Err(error),
                Err(Bad::What(what)) => {
                    let life = if is_later {
                        "a day later"
                    } else {
                        "not killed"
                    };
                    return self.failed(rounds, life.to_owned(), what);
                }
            }
        }
        self.report.acknowledgements = self.history.acknowledgements();
        Ok(self.report)
    }

    fn draw(&mut self) -> Life {
        let life = Life::draw(&mut self.random, self.harness.modes());
        match &self.last {
            Some(last) => life.after(last, &mut self.random),
            None => life,
        }
    }

    /// Keeps the disk as the program found it, if it is known, beside the disk as it left it.
    fn failed(mut self, round: u64, life: String, mut what: String) -> io::Result<Report> {
        if !self.is_unread {
            let found = self.folder.join("found");
            fs::create_dir(&found)?;
            self.machine.write(&found)?;
        }
        if let Some((end, _)) = what.char_indices().nth(FAILURE_CHARS_MAX) {
            what.truncate(end);
            what.push_str(" ..");
        }
        self.report.acknowledgements = self.history.acknowledgements();
        self.report.failure = Some(Failure { round, life, what });
        Ok(self.report)
    }

    /// One program, from its start to its death and what the machine makes of it. Returns its
    /// successor, if that runs already.
    fn live(
        &mut self,
        round: u64,
        rounds: u64,
        life: &Life,
        mut running: Running,
    ) -> Result<Option<(Life, Running)>, Bad> {
        // Until it is told what its callers know, it opens the store and does nothing more.
        if life.kill != Kill::Opened {
            running.tell(self.history.known());
        }
        let mut successor = None;
        let mut is_open = false;
        let mut seen = 0;
        let before = self.history.acknowledgements();
        loop {
            let age = match life.kill {
                Kill::After(age) if !running.is_killed() => age,
                _ => AGE_MAX,
            };
            let spoke = running.age();
            let line = match running.next(age) {
                Event::Line(line) => {
                    if life.mode != Mode::Plain {
                        let silence = running.age().saturating_sub(spoke);
                        self.report.silence = self.report.silence.max(silence);
                    }
                    line
                }
                Event::Ended => break,
                Event::Late if age < AGE_MAX => {
                    running.kill()?;
                    continue;
                }
                Event::Late => return Err(format!("it hangs; {}", running.stderr()).into()),
            };
            let is_stopped = self.take(&line)?;
            let acknowledged = self.history.acknowledgements() - before;
            if running.is_killed() {
                continue;
            }
            let wants_successor = life.is_overlapped
                && life.mode == Mode::Plain
                && successor.is_none()
                && round + 1 < rounds;
            let opens = line.starts_with("opened ");
            if opens && wants_successor {
                successor = Some(self.start_waiting(round + 1, running.id())?);
            }
            is_open |= opens;
            seen += u64::from(line.starts_with("at "));
            let is_due = match life.kill {
                Kill::Acknowledged(count) => acknowledged >= count,
                Kill::Opened => opens,
                Kill::Seen(count) => seen >= count,
                Kill::After(_) | Kill::Operation(_) | Kill::DataOperation(_) | Kill::Closing(_) => {
                    is_stopped
                }
            };
            if is_due {
                running.kill()?;
            }
        }
        let status = running.wait()?;
        // Where there are signals, one that is killed has no exit code; elsewhere that is 1.
        if !running.is_killed() || status.code().is_some_and(|code| code != 1 || cfg!(unix)) {
            let stderr = running.stderr();
            return Err(format!("it ended by itself with {status}; {stderr}").into());
        }
        self.report.kills_in_opening += u64::from(!is_open);
        self.power(round, life)?;
        Ok(successor)
    }

    /// What the machine does to the disk when a program of it was killed.
    fn power(&mut self, round: u64, life: &Life) -> io::Result<()> {
        if life.mode == Mode::Plain {
            self.is_unread = true;
            return Ok(());
        }
        let journal = self.journal(round);
        let is_inside = matches!(life.kill, Kill::Operation(_) | Kill::DataOperation(_));
        self.machine.follow(&journal, is_inside, &mut self.random)?;
        self.report.kills_in_making += u64::from(self.machine.is_making());
        self.report.kills_in_switch += u64::from(self.machine.is_switching());
        // Kept where something fails, and large.
        fs::remove_file(&journal).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        match life.mode {
            Mode::Plain | Mode::Cached => Ok(()),
            Mode::Forgetful => self.machine.forget(),
            Mode::Tearing => self.machine.tear(&mut self.random),
        }
    }

    /// A program that is not killed: everything is seen to its end.
    fn end(&mut self, round: u64, is_later: bool) -> Result<(), Bad> {
        let child = Child {
            folder: self.folder.join("store"),
            segment_size_bytes: 64 * 1024,
            ends: true,
            is_later,
            lie: self.harness.lie(),
            ..Child::default()
        };
        let mut running = self.start(&child, round)?;
        running.tell(self.history.known());
        let mut is_done = false;
        loop {
            match running.next(AGE_MAX) {
                Event::Line(line) => {
                    self.take(&line)?;
                    is_done |= line == "done";
                }
                Event::Ended => break,
                Event::Late => return Err(format!("it hangs; {}", running.stderr()).into()),
            }
        }
        let status = running.wait()?;
        if is_done && status.success() {
            return Ok(());
        }
        Err(format!("it ended with {status}; {}", running.stderr()).into())
    }

    /// A line of a child. Whether its disk has stopped.
    fn take(&mut self, line: &str) -> Result<bool, Bad> {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let number = |text: &str| {
            let number = text.parse::<u64>();
            number.map_err(|_| format!("it said {line:?}"))
        };
        match words[..] {
            ["at", caller, count] => self.history.at(caller, number(count)?)?,
            ["ack", caller, count] => self.history.acknowledge(caller, number(count)?)?,
            ["audited"] => self.report.audits += 1,
            ["stopped"] => return Ok(true),
            ["opened", version] => self.history.open(number(version)?)?,
            ["done"] | ["in-use", _] => {}
            _ => return Err(line.to_owned().into()),
        }
        Ok(false)
    }

    /// The next program, which finds the store in use by process `holder`, and waits.
    fn start_waiting(&mut self, round: u64, holder: u32) -> Result<(Life, Running), Bad> {
        let life = Life {
            mode: Mode::Plain,
            ..Life::draw(&mut self.random, &[Mode::Plain])
        };
        let child = Child {
            waits: true,
            ..self.child(&life, round)
        };
        let mut running = self.start(&child, round)?;
        let Event::Line(line) = running.next(AGE_MAX) else {
            return Err(format!("a second program says nothing; {}", running.stderr()).into());
        };
        if line != format!("in-use {holder}") {
            return Err(
                format!("process {holder} has the store; a second one says {line:?}").into(),
            );
        }
        self.report.waits += 1;
        Ok((life, running))
    }

    fn start(&mut self, child: &Child, round: u64) -> io::Result<Running> {
        if self.is_unread && child.journal.is_some() {
            self.machine.read()?;
            self.is_unread = false;
        }
        let stderr = self.folder.join(format!("stderr-{round}"));
        Running::start(self.harness.program(), child, stderr)
    }

    fn child(&self, life: &Life, round: u64) -> Child {
        let has_journal = life.mode != Mode::Plain;
        let (stop_at, stop_at_data, stop_at_close) = match life.kill {
            Kill::Operation(operation) => (Some(operation), None, None),
            Kill::DataOperation(operation) => (None, Some(operation), None),
            Kill::Closing(operation) => (None, None, Some(operation)),
            _ => (None, None, None),
        };
        Child {
            folder: self.folder.join("store"),
            journal: has_journal.then(|| self.journal(round)),
            stop_at,
            stop_at_data,
            stop_at_close,
            seed: life.seed,
            segment_size_bytes: life.segment_size_bytes,
            flush_micros: life.flush_micros,
            audits: life.audits,
            lie: self.harness.lie(),
            ..Child::default()
        }
    }

    fn journal(&self, round: u64) -> PathBuf {
        self.folder.join(format!("journal-{round}"))
    }
}
