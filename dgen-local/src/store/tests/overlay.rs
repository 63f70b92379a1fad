//! Overlays against a plain map: sets, clears and cleared ranges over a tree and under a frozen overlay, read by
//! key and by range, in both directions and with limits.

use proptest::prelude::*;

use super::*;

const KEYS: u8 = 40;

/// One step of a run.
#[derive(Debug, Clone)]
enum Step {
    Write(Vec<Write>),
    /// The overlay is frozen; it is written into the tree by a later `Thaw`.
    Freeze,
    Thaw,
    /// Keeps a snapshot, which is looked at again at the end.
    Keep,
    Get(Bytes),
    Range {
        begin: Bytes,
        end: Bytes,
        is_reverse: bool,
        limit_rows: usize,
        limit_bytes: usize,
    },
}

fn key() -> impl Strategy<Value = Bytes> {
    // Some are the first key behind another.
    (0..KEYS, prop::bool::weighted(0.2)).prop_map(|(key, is_behind)| {
        let mut bytes = vec![b'k', key];
        bytes.extend(is_behind.then_some(0));
        Bytes::from(bytes)
    })
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (key(), any::<u8>(), 0..40usize)
            .prop_map(|(key, byte, len)| Write::Set { key, value: vec![byte; len].into() }),
        2 => key().prop_map(|key| Write::Clear { key }),
        2 => (key(), key()).prop_map(|(begin, end)| Write::ClearRange { begin, end }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let limit = || prop_oneof![Just(usize::MAX), 0..6usize];
    prop_oneof![
        6 => prop::collection::vec(write(), 0..6).prop_map(Step::Write),
        1 => Just(Step::Freeze),
        1 => Just(Step::Thaw),
        1 => Just(Step::Keep),
        2 => key().prop_map(Step::Get),
        6 => (key(), key(), any::<bool>(), limit(), prop_oneof![Just(usize::MAX), 0..90usize]).prop_map(
            |(begin, end, is_reverse, limit_rows, limit_bytes)| Step::Range {
                begin,
                end,
                is_reverse,
                limit_rows,
                limit_bytes,
            }
        ),
    ]
}

/// What a range of `rows` should read as.
fn expected(rows: &Rows, request: &RangeRequest<'_>) -> RangeRows {
    let inside = rows
        .iter()
        .filter(|(key, _)| &key[..] >= request.begin && &key[..] < request.end);
    let mut inside: Vec<_> = inside
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if request.is_reverse {
        inside.reverse();
    }
    let mut bytes = 0;
    let mut taken = 0;
    while taken < inside.len()
        && taken < request.limit_rows
        && (taken == 0 || bytes < request.limit_bytes)
    {
        bytes += inside[taken].0.len() + inside[taken].1.len();
        taken += 1;
    }
    RangeRows {
        has_more: taken < inside.len(),
        rows: inside[..taken].to_vec(),
    }
}

fn all(snapshot: &impl BaseSnapshot, is_reverse: bool) -> RangeRows {
    let request = RangeRequest {
        begin: b"",
        end: b"\xff",
        is_reverse,
        limit_rows: usize::MAX,
        limit_bytes: usize::MAX,
    };
    snapshot.range(&request).unwrap()
}

/// A store that freezes its overlay only when it is told to.
fn unhurried() -> RedbStore {
    let options = StoreOptions {
        segment_size_bytes: 1024 * 1024,
        ..small()
    };
    let store = RedbStore::open_on(Arc::new(MemoryDisk::new()), &options).unwrap();
    store.use_thread_beside();
    store
}

fn check(store: &RedbStore, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::new();
    let mut kept = Vec::new();
    let is_on_disk = store.is_on_disk();
    for step in steps {
        let snapshot = store.snapshot().unwrap();
        let rows = model.latest().1.clone();
        match step {
            Step::Write(writes) => {
                let group = Group {
                    version: store.version() + 1,
                    writes: writes.clone(),
                };
                model.push(&group);
                commit(store, &group).unwrap();
            }
            Step::Freeze if is_on_disk && !store.checkpoints().is_one_due() => {
                store.begin_checkpoint()
            }
            Step::Thaw if is_on_disk && store.checkpoints().is_one_due() => {
                store.work_beside().unwrap().unwrap();
            }
            Step::Freeze | Step::Thaw => {}
            Step::Keep => kept.push((snapshot, rows)),
            Step::Get(key) => {
                prop_assert_eq!(snapshot.get(key).unwrap(), rows.get(key).cloned());
            }
            Step::Range {
                begin,
                end,
                is_reverse,
                limit_rows,
                limit_bytes,
            } => {
                let request = RangeRequest {
                    begin,
                    end,
                    is_reverse: *is_reverse,
                    limit_rows: *limit_rows,
                    limit_bytes: *limit_bytes,
                };
                prop_assert_eq!(snapshot.range(&request).unwrap(), expected(&rows, &request));
            }
        }
    }
    kept.push((store.snapshot().unwrap(), model.latest().1.clone()));
    for (snapshot, rows) in kept {
        let mut rows: Vec<_> = rows.into_iter().collect();
        prop_assert_eq!(&all(&snapshot, false).rows, &rows);
        rows.reverse();
        prop_assert_eq!(&all(&snapshot, true).rows, &rows);
    }
    Ok(())
}

proptest! {
    /// SPEC L1, L4: whatever was set and cleared, in the overlay, in a frozen one below it and in the tree, reads
    /// find what a plain map would hold, and a snapshot never changes.
    #[test]
    fn overlays_read_as_a_plain_map(steps in prop::collection::vec(step(), 1..60)) {
        check(&unhurried(), &steps)?;
        check(&RedbStore::in_memory(), &steps)?;
    }
}

/// SPEC L4: however many rows of a queue are popped, one by one or in reverse, the ranges that are kept of it do
/// not pile up.
#[test]
fn cleared_neighbours_become_one_range() {
    for is_reverse in [false, true] {
        let store = unhurried();
        let mut version = 0;
        let mut next = |writes| {
            version += 1;
            commit(&store, &Group { version, writes }).unwrap();
        };
        let key = |number: u32| Bytes::from(format!("queue/{number:04}"));
        let row = |number| Write::Set {
            key: key(number),
            value: Bytes::new(),
        };
        next((0..300).map(row).collect());
        store.begin_checkpoint();
        store.work_beside().unwrap().unwrap();
        // Half of them in the tree, half in the overlay.
        next((300..600).map(row).collect());
        for popped in 0..600 {
            let number = if is_reverse { 599 - popped } else { popped };
            next(vec![if number % 2 == 0 {
                Write::Clear { key: key(number) }
            } else {
                let mut end = key(number).to_vec();
                end.push(b'0');
                Write::ClearRange {
                    begin: key(number),
                    end: end.into(),
                }
            }]);
            assert_eq!(store.hidden_ranges(), 1, "after {popped}");
        }
        assert!(rows(&store).unwrap().is_empty());
    }
}
