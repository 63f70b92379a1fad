//! What is to be done at some time: timers to fire, and keys of waiting callers and remembered ids
//! to sweep. In order of time, so that the first row says when there is something to do.

use std::time::{Duration, SystemTime};

use dgen_backend::{
    Error, KeyRange, KeyValue, RangePage, RangeRead, Read, Transaction,
    planted::{self, Bug},
    tuple::{Element, Versionstamp, unpack},
};
use dgen_codec::{clear_chunks, from_plain};

use crate::{
    clock,
    keys::Keys,
    message::{From, MessageId},
    timer::Timed,
};

/// At most so many rows are worked off in one transaction.
const ROWS_MAX: usize = 500;

/// So many are read first, and twice as many each further time: mostly little is due.
const ROWS_READ_INITIAL: usize = 8;

/// At most so many are read, with those that this version does not know.
const ROWS_READ_MAX: usize = 5_000;

/// At most so many bytes of a transaction go to the agenda, the last row aside.
const ROWS_SIZE_MAX_BYTES: usize = 1_000_000;

/// What has expired is swept so long after it has: clocks differ.
const SWEEP_GRACE: Duration = Duration::from_secs(600);

/// A reply key whose message is still in the queue is swept so much later.
const SWEEP_AGAIN: Duration = SWEEP_GRACE;

/// Sweeps are due at whole minutes, so that many share a transaction.
const SWEEP_MILLIS: u64 = 60_000;

/// A row of the agenda.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    due_millis: u64,
    what: What,
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Timer(Versionstamp),
    KeyedTimer(String),
    /// A reply key whose caller has given up.
    Reply(From),
    /// The record of a message's id.
    Id(MessageId),
    /// Something that this version does not know. It stays.
    Unknown,
}

/// The first row, asked for beside other reads.
pub(crate) struct First(Read<RangePage>);

/// What was due.
#[derive(Debug, Default)]
pub(crate) struct WorkedOff {
    /// When the next row is due.
    pub(crate) next_millis: Option<u64>,
    /// How many timers fired.
    pub(crate) fired: usize,
    pub(crate) swept: usize,
    /// Whose reply keys are to be swept, unless their messages are still in the queue.
    left_behind: Vec<LeftBehind>,
}

/// A call whose caller has given up, or is gone.
#[derive(Debug)]
struct LeftBehind {
    from: From,
    /// The place of its message.
    place: Versionstamp,
    /// Whether that was still in the queue.
    is_queued: bool,
}

impl WorkedOff {
    /// Nothing was due.
    pub(crate) fn nothing(next_millis: Option<u64>) -> Self {
        Self {
            next_millis,
            ..Self::default()
        }
    }
}

/// Asks for the first row. A snapshot read: new rows, earlier or later, conflict with nothing.
pub(crate) fn first(tx: &Transaction, keys: &Keys) -> First {
    let all = RangeRead::from(KeyRange::subspace(&keys.agenda())).limit(1);
    First(tx.snapshot().get_range(all))
}

impl First {
    /// When it is due, if there is one.
    pub(crate) async fn due_millis(self, keys: &Keys) -> Result<Option<u64>, Error> {
        let page = self.0.await?;
        Ok(page.rows.first().map(|row| due_millis(&row.key, keys)))
    }
}

/// Works off what is due at `now`, up to a limit: sends what timers have to send to the server's own
/// queue, and sweeps. Reply keys are left to [`WorkedOff::sweep_replies`].
pub(crate) async fn work_off(
    tx: &Transaction,
    keys: &Keys,
    now: SystemTime,
    rows_max: usize,
) -> Result<WorkedOff, Error> {
    let now_millis = clock::to_millis(now);
    let (due, next_millis) = read_due(tx, keys, now_millis, rows_max.min(ROWS_MAX)).await?;
    // Asked for together, and before anything is pushed, which can't be read here.
    let asked = due.iter().filter_map(|(row, stored)| {
        let What::Reply(from) = &row.what else {
            return None;
        };
        let place = place_in(&stored.value)?;
        let is_queued = keys.queue().holds(tx, &place);
        Some((*from, place, is_queued))
    });
    let asked: Vec<_> = asked.collect();
    let mut done = WorkedOff::nothing(next_millis);
    for (row, stored) in &due {
        work_off_row(tx, keys, now_millis, row, stored, &mut done)?;
    }
    for (from, place, is_queued) in asked {
        done.left_behind.push(LeftBehind {
            from,
            place,
            is_queued: is_queued.await?,
        });
    }
    Ok(done)
}

/// The rows that are due, and that this version knows; and when the next one is.
async fn read_due(
    tx: &Transaction,
    keys: &Keys,
    now_millis: u64,
    rows_max: usize,
) -> Result<(Vec<(Row, KeyValue)>, Option<u64>), Error> {
    let mut range = KeyRange::subspace(&keys.agenda());
    let mut limit = ROWS_READ_INITIAL;
    let (mut rows_read, mut size_bytes) = (0, 0);
    let mut due = Vec::new();
    while rows_read < ROWS_READ_MAX {
        let read = RangeRead::from(range.clone()).limit(limit);
        let rows = tx.snapshot().collect_range(read).await?;
        let last = rows.last().filter(|_| rows.len() == limit);
        let rest = last.map(|last| KeyRange::key(&last.key).end);
        rows_read += rows.len();
        for stored in rows {
            let row = Row::of(&stored.key, keys);
            let is_full = due.len() >= rows_max || size_bytes > ROWS_SIZE_MAX_BYTES;
            if row.due_millis > now_millis || is_full {
                return Ok((due, Some(row.due_millis)));
            }
            // Its key is cleared and, if it is periodic, written anew, like its value.
            size_bytes += 4 * stored.key.len() + 2 * stored.value.len();
            if row.what != What::Unknown {
                due.push((row, stored));
            }
        }
        match rest {
            Some(rest) => range.begin = rest,
            None => break,
        }
        limit = (2 * limit).min(ROWS_MAX);
    }
    Ok((due, None))
}

fn work_off_row(
    tx: &Transaction,
    keys: &Keys,
    now_millis: u64,
    row: &Row,
    stored: &KeyValue,
    done: &mut WorkedOff,
) -> Result<(), Error> {
    // Two consumers that take the same row conflict.
    tx.add_read_conflict_key(&stored.key)?;
    tx.clear(&stored.key)?;
    let due = (row.due_millis, now_millis);
    match &row.what {
        What::Timer(_) => {
            done.fired += 1;
            fire(tx, keys, due, None, &stored.value)
        }
        What::KeyedTimer(key) => {
            done.fired += 1;
            fire(tx, keys, due, Some(key), &stored.value)
        }
        What::Reply(_) if place_in(&stored.value).is_some() => Ok(()),
        What::Reply(from) => {
            done.swept += 1;
            clear_chunks(tx, &keys.reply(from))
        }
        What::Id(id) => {
            done.swept += 1;
            clear_chunks(tx, &keys.remembered(id))
        }
        What::Unknown => Ok(()),
    }
}

impl WorkedOff {
    /// Sweeps the reply keys that were left behind, once the transaction has popped the queue up to
    /// `popped`. While a message is in the queue its answer is still to come, and whoever gives it does
    /// not look for the key: then it is swept later.
    pub(crate) fn sweep_replies(
        &mut self,
        tx: &Transaction,
        keys: &Keys,
        popped: Option<&Versionstamp>,
        now_millis: u64,
    ) -> Result<(), Error> {
        for LeftBehind {
            from,
            place,
            is_queued,
        } in self.left_behind.drain(..)
        {
            let is_popped = popped.is_some_and(|popped| place.as_bytes() <= popped.as_bytes());
            if is_queued && !is_popped {
                let later = now_millis.saturating_add(clock::millis(SWEEP_AGAIN));
                tx.set(
                    &sweep_reply_key(keys, &from, at_minute(later)),
                    place.as_bytes(),
                )?;
            } else {
                self.swept += 1;
                clear_chunks(tx, &keys.reply(&from))?;
            }
        }
        Ok(())
    }
}

/// A timer is due: its casts enter the queue, and it is set again if it is periodic.
fn fire(
    tx: &Transaction,
    keys: &Keys,
    (due_millis, now_millis): (u64, u64),
    key: Option<&str>,
    value: &[u8],
) -> Result<(), Error> {
    if let Some(key) = key {
        tx.clear(&keys.timer_key(key))?;
    }
    if planted::is(Bug::TimerLostAtCrash) && now_millis.saturating_sub(due_millis) > 1_000 {
        return Ok(());
    }
    let Ok(timed) = from_plain::<Timed>(value) else {
        // It says nothing that could be sent: in the queue it is seen, and becomes a dead letter.
        return keys.queue().push_k(tx, [value]);
    };
    let items = timed.casts.iter().map(|cast| {
        let mut cast = cast.clone();
        cast.due = Some(due_millis);
        cast.to_bytes().expect("it was encoded before")
    });
    keys.queue().push_k(tx, items.collect::<Vec<_>>())?;
    match timed.next(due_millis, now_millis) {
        Some(next_millis) => set_row(tx, keys, next_millis, key, value),
        None => Ok(()),
    }
}

/// Sets a timer, in the place of that with the same key.
pub(crate) async fn set_timer(
    tx: &Transaction,
    keys: &Keys,
    due_millis: u64,
    key: Option<&str>,
    timed: &Timed,
) -> Result<(), Error> {
    if let Some(key) = key {
        cancel_timer(tx, keys, key).await?;
    }
    set_row(tx, keys, due_millis, key, &timed.to_bytes())?;
    // Whoever consumes this server waits for something later, perhaps.
    keys.queue().notify(tx)
}

fn set_row(
    tx: &Transaction,
    keys: &Keys,
    due_millis: u64,
    key: Option<&str>,
    value: &[u8],
) -> Result<(), Error> {
    let due_millis = due_millis.min(clock::MILLIS_MAX);
    let Some(key) = key else {
        let stamp = Versionstamp::incomplete(tx.next_user_version()?);
        let row = keys.agenda().pack_with_versionstamp(&(due_millis, stamp));
        return tx.set_versionstamped_key(&row, value);
    };
    tx.set(&keys.agenda().pack(&(due_millis, key)), value)?;
    tx.set(&keys.timer_key(key), &due_millis.to_le_bytes())
}

/// Takes the timer of that key away, if there is one.
pub(crate) async fn cancel_timer(tx: &Transaction, keys: &Keys, key: &str) -> Result<(), Error> {
    let timer_key = keys.timer_key(key);
    let Some(due) = tx.get(&timer_key).await? else {
        return Ok(());
    };
    tx.clear(&timer_key)?;
    match <[u8; 8]>::try_from(&due[..]) {
        Ok(due) => tx.clear(&keys.agenda().pack(&(u64::from_le_bytes(due), key))),
        Err(_) => Ok(()),
    }
}

/// Has the reply key of a caller who waits until then swept, should it be left behind. `place` is that
/// of the caller's message, if this transaction pushes it.
pub(crate) fn sweep_reply(
    tx: &Transaction,
    keys: &Keys,
    from: &From,
    until_millis: u64,
    place: Option<&Versionstamp>,
) -> Result<(), Error> {
    if until_millis == clock::NEVER_MILLIS {
        return Ok(());
    }
    let key = sweep_reply_key(keys, from, sweep_at(until_millis));
    match place {
        // The commit fills in the place, at offset 0.
        Some(place) => {
            let template = [&place.as_bytes()[..], &[0; 4]].concat();
            tx.set_versionstamped_value(&key, &template)
        }
        None => tx.set(&key, b""),
    }
}

/// The place of the message of a caller who waits until then, if it was pushed.
pub(crate) async fn place_of_message(
    tx: &Transaction,
    keys: &Keys,
    from: &From,
    until_millis: u64,
) -> Result<Option<Versionstamp>, Error> {
    if until_millis == clock::NEVER_MILLIS {
        return Ok(None);
    }
    let key = sweep_reply_key(keys, from, sweep_at(until_millis));
    let value = tx.get(&key).await?;
    Ok(value.and_then(|value| place_in(&value)))
}

/// The place in the value of a row that sweeps a reply key: none if there is no message.
fn place_in(value: &[u8]) -> Option<Versionstamp> {
    let place = <[u8; 12]>::try_from(value).ok()?;
    Some(Versionstamp::from(place))
}

/// The reply key is gone: there is nothing to sweep.
pub(crate) fn forget_sweep_of_reply(
    tx: &Transaction,
    keys: &Keys,
    from: &From,
    until_millis: u64,
) -> Result<(), Error> {
    if until_millis == clock::NEVER_MILLIS {
        return Ok(());
    }
    tx.clear(&sweep_reply_key(keys, from, sweep_at(until_millis)))
}

fn sweep_reply_key(keys: &Keys, from: &From, due_millis: u64) -> Vec<u8> {
    let what = ("r", from.process.as_slice(), from.call);
    keys.agenda().pack(&(due_millis, what))
}

/// Has the record of a message's id swept when it has expired.
pub(crate) fn sweep_id(
    tx: &Transaction,
    keys: &Keys,
    id: &MessageId,
    until_millis: u64,
) -> Result<(), Error> {
    tx.set(&sweep_id_key(keys, id, until_millis), b"")
}

/// The record is another one now, and swept at another time.
pub(crate) fn forget_sweep_of_id(
    tx: &Transaction,
    keys: &Keys,
    id: &MessageId,
    until_millis: u64,
) -> Result<(), Error> {
    tx.clear(&sweep_id_key(keys, id, until_millis))
}

fn sweep_id_key(keys: &Keys, id: &MessageId, until_millis: u64) -> Vec<u8> {
    let what = ("i", id.id.as_str(), id.index);
    keys.agenda().pack(&(sweep_at(until_millis), what))
}

/// The whole minute after the grace.
fn sweep_at(until_millis: u64) -> u64 {
    if planted::is(Bug::EagerSweep) {
        return 0;
    }
    at_minute(until_millis.saturating_add(clock::millis(SWEEP_GRACE)))
}

/// The whole minute at or after that.
fn at_minute(millis: u64) -> u64 {
    let minutes = millis.div_ceil(SWEEP_MILLIS);
    minutes.saturating_mul(SWEEP_MILLIS).min(clock::MILLIS_MAX)
}

/// When the row of that key is due.
fn due_millis(key: &[u8], keys: &Keys) -> u64 {
    Row::of(key, keys).due_millis
}

impl Row {
    fn of(key: &[u8], keys: &Keys) -> Self {
        let path = key.get(keys.agenda().bytes().len()..).unwrap_or_default();
        let elements: Vec<Element<'_>> = unpack(path).unwrap_or_default();
        let (due_millis, what) = match &elements[..] {
            [Element::Int(due), what] => (u64::try_from(*due).ok(), What::of(what)),
            _ => (None, What::Unknown),
        };
        match due_millis {
            Some(due_millis) => Self { due_millis, what },
            None => Self {
                due_millis: clock::NEVER_MILLIS,
                what: What::Unknown,
            },
        }
    }
}

impl What {
    fn of(element: &Element<'_>) -> Self {
        match element {
            Element::Versionstamp(stamp) => Self::Timer(stamp.clone()),
            Element::String(key) => Self::KeyedTimer(key.to_string()),
            Element::Tuple(elements) => Self::of_sweep(elements).unwrap_or(Self::Unknown),
            _ => Self::Unknown,
        }
    }

    fn of_sweep(elements: &[Element<'_>]) -> Option<Self> {
        let [Element::String(kind), whose, Element::Int(number)] = elements else {
            return None;
        };
        match (&**kind, whose) {
            ("r", Element::Bytes(process)) => Some(Self::Reply(From {
                process: process.as_ref().try_into().ok()?,
                call: u64::try_from(*number).ok()?,
            })),
            ("i", Element::String(id)) => Some(Self::Id(MessageId {
                id: id.to_string(),
                index: u32::try_from(*number).ok()?,
            })),
            _ => None,
        }
    }
}
