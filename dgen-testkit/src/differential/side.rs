//! One of the two databases: runs steps and notes what can be seen.

use std::{collections::HashMap, time::Duration};

use dgen_backend::{
    CommitVersionstamp, Database, Error, KeyValue, RangeRead, Transaction, Watch, env::Env,
};

use super::Operation;
use crate::Area;

/// A watch that must resolve and has not after this long never will.
const HANG_GUARD: Duration = Duration::from_secs(30);

pub(super) struct Side {
    area: Area,
    slots: HashMap<usize, Slot>,
    ended: HashMap<usize, Transaction>,
    /// Of every commit, in order.
    stamps: Vec<CommitVersionstamp>,
    watches: Vec<Armed>,
}

struct Slot {
    tx: Transaction,
    watches: Vec<Armed>,
}

/// A watch, and the value that its transaction saw.
struct Armed {
    name: String,
    seen: Option<Vec<u8>>,
    watch: Watch,
}

/// What can be seen of a step, with versionstamps as the number of their commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Nothing,
    Value(Option<Text>),
    Rows(Vec<(Text, Text)>),
    /// By the name of its variant.
    Failed(String),
    Committed {
        /// Whether it is known to have a versionstamp, and that one was the last.
        is_stamped_last: Option<bool>,
    },
    /// What is stored at the end, and which watches never resolved.
    End(Vec<(Text, Text)>, Vec<String>),
}

/// Bytes to read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text(Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl Side {
    pub(super) fn new(db: &Database, name: &str) -> Self {
        Self {
            area: Area::new(db, name),
            slots: HashMap::new(),
            ended: HashMap::new(),
            stamps: Vec::new(),
            watches: Vec::new(),
        }
    }

    pub(super) async fn run(&mut self, slot: usize, operation: &Operation) -> Seen {
        let result = match operation {
            Operation::Commit => return self.commit(slot).await,
            Operation::Cancel => return self.cancel(slot),
            Operation::UseAfterEnd => return self.use_after_end(slot).await,
            Operation::Watch(name) => self.watch(slot, name).await,
            _ => self.read_or_write(slot, operation).await,
        };
        result.unwrap_or_else(|error| failed(&error))
    }

    /// Ends what is open, and looks at what is left.
    pub(super) async fn end(mut self) -> Seen {
        self.slots.clear();
        let tx = self.area.begin();
        let rows = match tx.snapshot().collect_range(self.area.all()).await {
            Ok(rows) => self.rows(&rows),
            Err(error) => return failed(&error),
        };
        let mut hung = Vec::new();
        for armed in std::mem::take(&mut self.watches) {
            let value = match tx.snapshot().get(&self.area.key(&armed.name)).await {
                Ok(value) => value.map(|value| value.to_vec()),
                Err(error) => return failed(&error),
            };
            // Where the value is as it was, the watch may have resolved or not.
            if value != armed.seen
                && !matches!(
                    Env::system().timeout(HANG_GUARD, armed.watch).await,
                    Ok(Ok(()))
                )
            {
                hung.push(armed.name);
            }
        }
        if let Err(error) = self.area.remove().await {
            return failed(&error);
        }
        Seen::End(rows, hung)
    }

    fn slot(&mut self, slot: usize) -> &mut Slot {
        self.slots.entry(slot).or_insert_with(|| Slot {
            tx: self.area.begin(),
            watches: Vec::new(),
        })
    }

    async fn read_or_write(&mut self, slot: usize, operation: &Operation) -> Result<Seen, Error> {
        let tx = self.slot(slot).tx.clone();
        let area = &self.area;
        match operation {
            Operation::Get { name, is_snapshot } => {
                take_snapshot(&tx).await?;
                let key = area.key(name);
                let value = if *is_snapshot {
                    tx.snapshot().get(&key).await?
                } else {
                    tx.get(&key).await?
                };
                return Ok(Seen::Value(value.map(|value| self.value(name, &value))));
            }
            Operation::Range {
                begin,
                end,
                limit,
                is_reverse,
                is_snapshot,
            } => {
                take_snapshot(&tx).await?;
                let read = RangeRead {
                    range: area.range(begin, end),
                    limit: *limit,
                    is_reverse: *is_reverse,
                };
                let rows = if *is_snapshot {
                    tx.snapshot().collect_range(read).await?
                } else {
                    tx.collect_range(read).await?
                };
                return Ok(Seen::Rows(self.rows(&rows)));
            }
            Operation::Set(name, value) => tx.set(&area.key(name), value)?,
            Operation::Clear(name) => tx.clear(&area.key(name))?,
            Operation::ClearRange(begin, end) => tx.clear_range(&area.range(begin, end))?,
            Operation::Add(name, delta) => tx.add(&area.key(name), *delta)?,
            Operation::VersionstampedValue(name) => {
                // Told from other values by its first byte and its length.
                let template = [b"V", &[0; 10][..], &1_u32.to_le_bytes()].concat();
                tx.set_versionstamped_value(&area.key(name), &template)?;
            }
            Operation::VersionstampedKey => {
                let mut template = area.key("s");
                let offset = u32::try_from(template.len()).expect("keys are short");
                template.extend([0; 10]);
                template.extend(tx.next_user_version()?.to_be_bytes());
                template.extend(offset.to_le_bytes());
                tx.set_versionstamped_key(&template, b"stamped")?;
            }
            Operation::ReadConflict(begin, end) => {
                take_snapshot(&tx).await?;
                tx.add_read_conflict(&area.range(begin, end))?;
            }
            Operation::ReadConflictKey(name) => {
                take_snapshot(&tx).await?;
                tx.add_read_conflict_key(&area.key(name))?;
            }
            Operation::WriteConflict(begin, end) => {
                tx.add_write_conflict(&area.range(begin, end))?;
            }
            Operation::ReadVersion => take_snapshot(&tx).await?,
            Operation::LongKey => tx.set(&area.key([b'k'; 10_001]), b"")?,
            Operation::LargeValue => tx.set(&area.key("k"), &[0; 100_001])?,
            Operation::ShortTemplate => tx.set_versionstamped_key(&[0; 13], b"")?,
            Operation::InvertedClear => tx.clear_range(&area.range("b", "a"))?,
            Operation::Watch(_)
            | Operation::UseAfterEnd
            | Operation::Cancel
            | Operation::Commit => unreachable!("the caller does these"),
        }
        Ok(Seen::Nothing)
    }

    async fn watch(&mut self, slot: usize, name: &str) -> Result<Seen, Error> {
        let key = self.area.key(name);
        let slot = self.slot(slot);
        take_snapshot(&slot.tx).await?;
        let seen = slot.tx.snapshot().get(&key).await?;
        slot.watches.push(Armed {
            name: name.to_owned(),
            seen: seen.map(|value| value.to_vec()),
            watch: slot.tx.watch(&key)?,
        });
        Ok(Seen::Nothing)
    }

    async fn commit(&mut self, slot: usize) -> Seen {
        self.slot(slot);
        let Some(ended) = self.slots.remove(&slot) else {
            unreachable!("it was just made");
        };
        let tx = ended.tx;
        let stamp = tx.versionstamp();
        let result = tx.commit().await;
        let has_writes = tx.has_writes();
        self.ended.insert(slot, tx);
        if let Err(error) = result {
            return failed(&error);
        }
        self.watches.extend(ended.watches);
        let is_stamped_last = match stamp.await {
            Ok(stamp) if has_writes => {
                let is_last = self.stamps.last() < Some(&stamp);
                self.stamps.push(stamp);
                Some(is_last)
            }
            Ok(_) => Some(false),
            Err(_) => None,
        };
        Seen::Committed { is_stamped_last }
    }

    fn cancel(&mut self, slot: usize) -> Seen {
        if let Some(ended) = self.slots.remove(&slot) {
            ended.tx.cancel();
            self.ended.insert(slot, ended.tx);
        }
        Seen::Nothing
    }

    async fn use_after_end(&mut self, slot: usize) -> Seen {
        let Some(tx) = self.ended.get(&slot) else {
            return Seen::Nothing;
        };
        match (tx.get(b"k").await, tx.set(b"k", b"")) {
            (Err(error), Err(_)) => failed(&error),
            _ => Seen::Nothing,
        }
    }

    fn rows(&self, rows: &[KeyValue]) -> Vec<(Text, Text)> {
        rows.iter()
            .map(|row| {
                let name = self.area.name_of(&row.key);
                let value = self.value(&String::from_utf8_lossy(name), &row.value);
                let name = match name.split_first_chunk::<1>() {
                    Some((b"s", rest)) => self.numbered(b"s", rest),
                    _ => Text(name.to_vec()),
                };
                (name, value)
            })
            .collect()
    }

    fn value(&self, name: &str, value: &[u8]) -> Text {
        match value.split_first_chunk::<1>() {
            Some((b"V", rest)) if name.starts_with('v') && rest.len() == 10 => {
                self.numbered(b"V", rest)
            }
            _ => Text(value.to_vec()),
        }
    }

    /// `rest` with the versionstamp that it begins with as the number of its commit.
    fn numbered(&self, first: &[u8], rest: &[u8]) -> Text {
        let (stamp, rest) = rest.split_at(rest.len().min(10));
        let number = self.stamps.iter().position(|known| known == stamp);
        let number = number.map_or("of no commit".to_owned(), |number| format!("<{number}>"));
        Text([first, number.as_bytes(), rest].concat())
    }
}

/// So that both sides see the same commits, whichever call takes the snapshot.
async fn take_snapshot(tx: &Transaction) -> Result<(), Error> {
    tx.read_version().await.map(drop)
}

/// The name of the error's variant.
fn failed(error: &Error) -> Seen {
    let debug = format!("{error:?}");
    let name: String = debug.chars().take_while(|c| c.is_alphanumeric()).collect();
    Seen::Failed(name)
}
