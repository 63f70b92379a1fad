//! Messages that could not be handled, put aside so that those behind them could.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use dgen_backend::{
    KeyRange, RangeRead, Transaction,
    tuple::{Element, Subspace, unpack},
};
use dgen_codec::{LoadError, clear_chunks, from_plain, read_chunks, to_plain, write_chunks};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    address::Address,
    clock,
    message::{Envelope, Kind},
    outbox::{LocalAnswers, Outbox, ToCaller, bytes_of},
    remedy::AttemptError,
    reply::{Answer, Death},
};

/// So many are listed at once at most, and so many bytes of them, the last aside.
const LISTED_MAX: usize = 100;
const LISTED_SIZE_MAX_BYTES: usize = 1_000_000;

/// So much of an error is stored at most.
const ERROR_SIZE_MAX_BYTES: usize = 2_000;

/// A message that could not be handled. See [`Handle::dead_letters`](crate::Handle::dead_letters).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number among the dead letters of its server: greater for each later one.
    pub number: u64,
    /// The message, as text to read: `{"add": {"by": 2}}`, shortened if it is long.
    pub message: String,
    /// Whether it was a call; else it was a cast.
    pub is_call: bool,
    /// Why it could not be handled.
    pub error: String,
    /// How often that was tried.
    pub attempts: u32,
    /// When it was put aside.
    pub at: SystemTime,
}

/// What is stored. docs/wire-format.md describes it.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The queue's bytes of the message.
    message: ByteBuf,
    error: String,
    attempts: u32,
    /// In milliseconds since 1970.
    at: u64,
}

/// A message that was put aside: once that is committed.
#[must_use = "its caller is to be told"]
pub(crate) struct Buried {
    number: u64,
    error: String,
    answers: LocalAnswers,
}

/// Puts the message of the queue's bytes `message` aside, and tells its caller.
///
/// Its number is the transaction's read version. So the caller must have read, and must write,
/// something that all who bury for this server do: the hold.
pub(crate) async fn bury(
    tx: &Transaction,
    address: &Address,
    message: &[u8],
    death: Death,
) -> Result<Buried, AttemptError> {
    let number = tx.read_version().await?;
    let error = death.error.clone();
    let record = Record {
        message: ByteBuf::from(message),
        error: error.clone(),
        attempts: death.attempts,
        at: clock::to_millis(address.tenant.env().wall_clock()),
    };
    let record = to_plain(&record).expect("a record is texts, numbers and bytes");
    write_chunks(tx, &letter(address, number), &record)?;
    tx.add(&address.keys.dead_letter_count(), 1)?;
    let mut outbox = Outbox::default();
    let envelope = Envelope::from_bytes(message).ok();
    let caller = envelope.and_then(|envelope| envelope.from);
    let answer = caller.map(|from| ToCaller {
        from,
        until_millis: None,
        answer: Answer::DeadLettered(death),
    });
    outbox.answers.extend(answer);
    Ok(Buried {
        number,
        error,
        answers: outbox.write(tx, address).await?,
    })
}

impl Buried {
    /// The transaction is committed: tells the operator, and the caller if it waits in this OS
    /// process.
    pub(crate) fn announce(self, address: &Address) {
        let Self {
            number,
            error,
            answers,
        } = self;
        tracing::error!(server = %address, number, error, "a message is a dead letter");
        address.metrics().dead_letters.increment(1);
        for (from, answer) in answers {
            address.calls.answer(&from, answer);
        }
    }
}

/// Dead letters that were read, the oldest first, and how many bytes their messages have.
///
/// Kept outside of the transaction: one that gets too old is run again, and goes on behind what is here.
#[derive(Debug, Default)]
pub(crate) struct Listing(Mutex<(Vec<DeadLetter>, usize)>);

impl Listing {
    pub(crate) fn into_letters(self) -> Vec<DeadLetter> {
        let (letters, _) = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        letters
    }

    /// The last one's number, or none; nothing if there is no room for more.
    fn last(&self) -> Option<Option<u64>> {
        let listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (letters, size_bytes) = &*listed;
        let has_room = letters.len() < LISTED_MAX && *size_bytes < LISTED_SIZE_MAX_BYTES;
        has_room.then(|| letters.last().map(|letter| letter.number))
    }

    fn push(&self, number: u64, record: Record) {
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listed.1 += record.message.len();
        listed.0.push(record.into_letter(number));
    }
}

/// Adds to `listing` the oldest dead letters behind it, up to a number and a size.
pub(crate) async fn list(
    tx: &Transaction,
    address: &Address,
    listing: &Listing,
) -> Result<(), AttemptError> {
    let mut range = KeyRange::subspace(&address.keys.dead_letters());
    if let Some(Some(last)) = listing.last() {
        range.begin = KeyRange::subspace(&letter(address, last)).end;
    }
    while listing.last().is_some()
        && let Some(number) = first_number(tx, address, &range).await?
    {
        range.begin = KeyRange::subspace(&letter(address, number)).end;
        if let Some(record) = read(tx, address, number).await? {
            listing.push(number, record);
        }
    }
    Ok(())
}

/// How many there are.
pub(crate) async fn count(tx: &Transaction, address: &Address) -> Result<u64, AttemptError> {
    let count = tx.snapshot().get(&address.keys.dead_letter_count()).await?;
    let count = count.and_then(|count| <[u8; 8]>::try_from(&count[..]).ok());
    Ok(count.map_or(0, u64::from_le_bytes))
}

/// Takes a dead letter away, and puts it at the end of the queue if it is to be replayed. Whether it
/// was there.
pub(crate) async fn take(
    tx: &Transaction,
    address: &Address,
    number: u64,
    is_replayed: bool,
) -> Result<bool, AttemptError> {
    let Some(record) = read(tx, address, number).await? else {
        return Ok(false);
    };
    clear_chunks(tx, &letter(address, number))?;
    tx.add(&address.keys.dead_letter_count(), -1)?;
    if is_replayed {
        let item = match Envelope::from_bytes(&record.message) {
            // Its caller has been told.
            Ok(envelope) => bytes_of(&Envelope {
                from: None,
                until: None,
                ..envelope
            }),
            // Another version may know it.
            Err(_) => Bytes::from(record.message.into_vec()),
        };
        address.keys.queue().push_k(tx, [item])?;
    }
    Ok(true)
}

/// An error's text, short enough to store.
pub(crate) fn shortened(error: &str) -> String {
    if error.len() <= ERROR_SIZE_MAX_BYTES {
        return error.to_owned();
    }
    let end = (0..=ERROR_SIZE_MAX_BYTES)
        .rev()
        .find(|end| error.is_char_boundary(*end));
    format!("{} ..", &error[..end.unwrap_or(0)])
}

fn letter(address: &Address, number: u64) -> Subspace {
    address.keys.dead_letters().subspace(&number)
}

/// The number of the first one in `range`.
async fn first_number(
    tx: &Transaction,
    address: &Address,
    range: &KeyRange,
) -> Result<Option<u64>, AttemptError> {
    let read = RangeRead::from(range.clone()).limit(1);
    let rows = tx.snapshot().collect_range(read).await?;
    let prefix_size_bytes = address.keys.dead_letters().bytes().len();
    let path = rows
        .first()
        .and_then(|row| row.key.get(prefix_size_bytes..));
    let path: Vec<Element<'_>> = path.and_then(|path| unpack(path).ok()).unwrap_or_default();
    Ok(match path.first() {
        Some(Element::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    })
}

async fn read(
    tx: &Transaction,
    address: &Address,
    number: u64,
) -> Result<Option<Record>, AttemptError> {
    let key = letter(address, number);
    // One that is damaged is shown as such, and hides no other.
    let unreadable = |bytes: &[u8], error: String| Record {
        message: ByteBuf::from(bytes),
        error: format!("this dead letter can't be read: {error}"),
        attempts: 0,
        at: 0,
    };
    match read_chunks(tx, &key).await {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => {
            let record = from_plain::<Record>(&bytes);
            let record = record.unwrap_or_else(|error| unreadable(&bytes, error.to_string()));
            Ok(Some(record))
        }
        Err(damaged @ LoadError::Damaged { .. }) => Ok(Some(unreadable(&[], damaged.to_string()))),
        Err(error) => Err(error.into()),
    }
}

impl Record {
    fn into_letter(self, number: u64) -> DeadLetter {
        let envelope = Envelope::from_bytes(&self.message).ok();
        let body = envelope
            .as_ref()
            .map_or(&self.message, |envelope| &envelope.body);
        DeadLetter {
            number,
            message: dgen_codec::to_text(body),
            is_call: envelope.is_some_and(|envelope| envelope.kind == Kind::Call),
            error: self.error,
            attempts: self.attempts,
            at: clock::from_millis(self.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC S9: an error of any length is kept, shortened at a letter's end.
    #[test]
    fn long_errors_are_shortened() {
        assert_eq!(shortened("short"), "short");
        let long = "ä".repeat(ERROR_SIZE_MAX_BYTES);
        let short = shortened(&long);
        assert!(short.len() <= ERROR_SIZE_MAX_BYTES + 3, "{}", short.len());
        assert!(short.starts_with('ä') && short.ends_with(".."));
    }
}
