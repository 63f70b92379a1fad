//! What writes cost when the state is large: bytes counted at the store, for a change that is small.

use std::error::Error as StdError;

use dgen_backend::{Database, tuple::Subspace};
use dgen_codec::Stored;
use dgen_testkit::counting::{Counts, counted};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

type Outcome<T = ()> = Result<T, Box<dyn StdError>>;

/// The most that a write of one item takes: three keys and what is in them, and the version.
const ITEM_WRITTEN_BYTES_MAX: u64 = 300;

/// The most that a write of one field takes: a key and its value, and the version.
const FIELD_WRITTEN_BYTES_MAX: u64 = 150;

/// How many items are added in one transaction at most: with more it gets too large.
const BATCH_ITEMS_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    id: String,
    name: String,
    count: u32,
}

fn item(number: usize) -> Item {
    Item {
        id: format!("item-{number:06}"),
        name: "x".to_owned(),
        count: 0,
    }
}

/// A state that is stored whenever it changes, as a server does it.
struct Server<T> {
    db: Database,
    counts: Counts,
    base: Subspace,
    value: T,
    stored: Option<Stored>,
}

impl<T: Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned> Server<T> {
    fn new(value: T) -> Outcome<Self> {
        let (db, counts) = counted(dgen_local::in_memory()?);
        Ok(Self {
            db,
            counts,
            base: Subspace::from(("Shop", "demo", "state")),
            value,
            stored: None,
        })
    }

    /// Changes the state in a transaction of its own; how many bytes that wrote.
    async fn change(&mut self, change: impl FnOnce(&mut T)) -> Outcome<u64> {
        let before = self.counts.written_bytes();
        change(&mut self.value);
        let tx = self.db.begin()?;
        let written = dgen_codec::store(&tx, &self.base, self.stored.as_ref(), &self.value)?;
        tx.commit().await?;
        self.stored = Some(written.stored);
        Ok(self.counts.written_bytes() - before)
    }

    /// Reads the state anew, as another consumer does. It is what was written last.
    async fn reload(&mut self) -> Outcome {
        let loaded = dgen_codec::load::<T>(&self.db.begin()?, &self.base).await?;
        let loaded = loaded.expect("it was stored");
        assert!(loaded.value == self.value, "another state was read");
        self.stored = Some(loaded.stored);
        Ok(())
    }
}

impl Server<Vec<Item>> {
    /// Appends items until there are `len`, some in each transaction; the most bytes that were
    /// written for an item.
    async fn grow(&mut self, len: usize, items_each_max: usize) -> Outcome<u64> {
        let mut most_bytes = 0;
        while self.value.len() < len {
            let items = self.value.len()..len.min(self.value.len() + items_each_max);
            let items_added = items.len() as u64;
            let written_bytes = self.change(|list| list.extend(items.map(item))).await?;
            most_bytes = most_bytes.max(written_bytes.div_ceil(items_added));
        }
        Ok(most_bytes)
    }
}

/// SPEC C2: a list that grows item by item is never written again: an append costs the same at
/// every length.
#[tokio::test]
async fn growing_a_list_writes_the_new_items_alone() -> Outcome {
    let mut server = Server::new(Vec::new())?;
    let first = server.grow(500, 1).await?;
    assert!(first <= ITEM_WRITTEN_BYTES_MAX, "{first} bytes");
    // Each append compares the whole list, so most of it grows in leaps.
    for len in [1_000, 5_000, 20_000, 50_000, 100_000] {
        let leap = server.grow(len - 10, BATCH_ITEMS_MAX).await?;
        let append = server.grow(len, 1).await?;
        println!("{len} items: {append} bytes for one, at most {leap} in a leap");
        assert!(leap <= append, "{leap} bytes for an item of many");
        // Indices grow by a byte or two, in each of an item's keys.
        assert!(
            append <= first + 3 * 2,
            "{first} bytes, and {append} at {len}"
        );
    }
    server.reload().await?;
    let append = server.grow(100_001, 1).await?;
    assert!(append <= first + 3 * 2, "{append} bytes after a reload");
    Ok(())
}

/// SPEC C2: in a list of 100,000, an item that is moved, inserted, changed or removed is its own
/// keys, wherever it is.
#[tokio::test]
async fn changing_a_long_list_writes_one_item() -> Outcome {
    let mut server = Server::new(Vec::new())?;
    server.grow(100_000, BATCH_ITEMS_MAX).await?;
    for (from, to) in [(99_999, 0), (0, 99_999), (10, 70_000), (70_000, 69_999)] {
        let written_bytes = server
            .change(|list| {
                let moved = list.remove(from);
                list.insert(to, moved);
            })
            .await?;
        // Cleared where it was, and written where it is.
        let written_bytes_max = 2 * ITEM_WRITTEN_BYTES_MAX;
        assert!(
            written_bytes <= written_bytes_max,
            "{from} to {to}: {written_bytes} bytes"
        );
    }
    server.reload().await?;
    for at in [0, 50_000, 99_999] {
        let inserted = server
            .change(|list| list.insert(at, item(200_000 + at)))
            .await?;
        assert!(
            inserted <= ITEM_WRITTEN_BYTES_MAX,
            "{inserted} bytes at {at}"
        );
        let changed = server.change(|list| list[at].count += 1).await?;
        assert!(
            changed <= FIELD_WRITTEN_BYTES_MAX,
            "{changed} bytes at {at}"
        );
        let removed = server.change(|list| drop(list.remove(at))).await?;
        assert!(removed <= ITEM_WRITTEN_BYTES_MAX, "{removed} bytes at {at}");
    }
    server.reload().await
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Archive {
    title: String,
    pages: Vec<Page>,
    #[serde(with = "serde_bytes")]
    cover: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Page {
    id: String,
    text: String,
    is_read: bool,
}

/// SPEC C2, C3: a state of seven megabytes comes back, and one field of it is one key.
#[tokio::test]
async fn one_field_of_megabytes_is_written_alone() -> Outcome {
    let page = |number: usize| Page {
        id: number.to_string(),
        text: format!("{number:04} ").repeat(1_000),
        is_read: false,
    };
    let mut server = Server::new(Archive {
        title: "all of it".to_owned(),
        pages: (0..1_000).map(page).collect(),
        cover: vec![7; 2_000_000],
    })?;
    let all_bytes = server.change(|_| ()).await?;
    assert!(all_bytes > 7_000_000, "{all_bytes} bytes");
    server.reload().await?;

    let nothing = server.change(|_| ()).await?;
    assert_eq!(nothing, 0);
    let title = server.change(|archive| archive.title.push('!')).await?;
    assert!(title <= FIELD_WRITTEN_BYTES_MAX, "{title} bytes");
    let read = server
        .change(|archive| archive.pages[777].is_read = true)
        .await?;
    assert!(read <= FIELD_WRITTEN_BYTES_MAX, "{read} bytes");
    let text = server
        .change(|archive| archive.pages[3].text.push('!'))
        .await?;
    assert!(
        (5_000..5_000 + FIELD_WRITTEN_BYTES_MAX).contains(&text),
        "{text} bytes"
    );
    // Of a value in chunks, it is the chunk.
    let cover = server
        .change(|archive| archive.cover[1_234_567] = 8)
        .await?;
    assert!(
        (100_000..100_000 + FIELD_WRITTEN_BYTES_MAX).contains(&cover),
        "{cover} bytes"
    );
    server.reload().await
}
