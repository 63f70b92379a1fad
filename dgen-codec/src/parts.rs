//! The items of a [`List`](crate::List) as MessagePack, in parts that are encoded once.
//!
//! A part belongs to a chunk of the list and stays as long as nobody changes an item of it. So two
//! encodings of a list share the parts of which nothing changed, and comparing them is comparing
//! pointers.

use std::{
    collections::HashMap,
    iter,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;

use crate::{
    encoding::{self, Encoded},
    outline, plain,
};

/// Some items, one behind the other.
#[derive(Debug)]
pub(crate) struct Part {
    /// Their outlines.
    bytes: Box<[u8]>,
    lists: Lists,
    count: usize,
    /// How deep the items are nested.
    nesting: usize,
    /// How long they are as MessagePack.
    size_bytes: usize,
    /// The same items with all lists put in, once that was asked for.
    whole: OnceLock<Arc<Part>>,
}

/// All of a list.
#[derive(Debug)]
pub(crate) struct Parts {
    number: u64,
    parts: Box<[Arc<Part>]>,
    count: u32,
    nesting: usize,
    size_bytes: usize,
}

/// The lists that an outline leaves out, by their numbers.
pub(crate) type Lists = HashMap<u64, Arc<Parts>>;

impl Part {
    /// `None` if serde can't, or if the items are not as long as they say: whoever encodes the list
    /// item by item says why.
    pub(crate) fn encode<T: Serialize>(items: &[T], size_bytes: usize) -> Option<Self> {
        let Encoded {
            bytes,
            lists,
            size_bytes,
        } = encoding::encode_all(items, size_bytes).ok()?;
        let of_list = |number| Some(lists.get(&number)?.nesting());
        let (nesting, end) = plain::nesting(&bytes, items.len() as u64, of_list).ok()?;
        (end == bytes.len()).then(|| Self {
            bytes: bytes.into_boxed_slice(),
            lists,
            count: items.len(),
            nesting,
            size_bytes,
            whole: OnceLock::new(),
        })
    }

    /// The same items with all lists put in.
    pub(crate) fn whole(&self) -> &Arc<Self> {
        self.whole.get_or_init(|| {
            let mut bytes = Vec::with_capacity(self.size_bytes);
            self.write(&mut bytes);
            Arc::new(Self {
                bytes: bytes.into_boxed_slice(),
                lists: Lists::new(),
                count: self.count,
                nesting: self.nesting,
                size_bytes: self.size_bytes,
                whole: OnceLock::new(),
            })
        })
    }

    /// It, and the same with all lists put in if that was asked for.
    pub(crate) fn forms(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        iter::once(self).chain(self.whole.get())
    }

    fn write(&self, out: &mut Vec<u8>) {
        outline::expand(&self.bytes, self.count as u64, &self.lists, |_| true, out)
            .expect("a part is encoded with its lists, and was walked through then");
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What its items leave out.
    pub(crate) fn lists(&self) -> &Lists {
        &self.lists
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl Parts {
    /// `None` if they are more items than MessagePack can count.
    pub(crate) fn new(parts: Vec<Arc<Part>>) -> Option<Self> {
        /// Of each list another: a number that is as before means a list that is as before.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let count: usize = parts.iter().map(|part| part.count).sum();
        let count = u32::try_from(count).ok()?;
        let items_size_bytes: usize = parts.iter().map(|part| part.size_bytes).sum();
        Some(Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            count,
            nesting: 1 + parts.iter().map(|part| part.nesting).max().unwrap_or(0),
            size_bytes: head(count).len() + items_size_bytes,
            parts: parts.into_boxed_slice(),
        })
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Part>> {
        self.parts.iter()
    }

    pub(crate) fn nesting(&self) -> usize {
        self.nesting
    }

    /// How long the list is as MessagePack.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Appends the list's MessagePack.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&head(self.count));
        self.parts.iter().for_each(|part| part.write(out));
    }
}

/// What an array of so many items begins with.
fn head(count: u32) -> Vec<u8> {
    let mut head = Vec::new();
    rmp::encode::write_array_len(&mut head, count)
        .expect("a vector takes whatever is written to it");
    head
}
