//! Encoding a state: `rmp-serde` writes, and a [`List`](crate::List) leaves itself out.
//!
//! serde hands a list a serializer and nothing else. So the state that is being encoded is known by the
//! thread; and whether the serializer is this encoding's, and not that of some format inside of it, the list
//! asks it by beginning a sequence: if the writer below sees that come, it is. Then what follows, a nil,
//! becomes the mark in the sequence's place. With any other serializer the list goes on, item by item, as
//! any sequence does.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
};

use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeSeq},
};

use crate::{
    outline::{self, MARK_SIZE_BYTES},
    parts::{Lists, Parts},
};

thread_local! {
    /// What this thread encodes, if a list may leave itself out.
    static CURRENT: RefCell<Option<Rc<Encoding>>> = const { RefCell::new(None) };
}

/// What was encoded.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The value's outline.
    pub(crate) bytes: Vec<u8>,
    pub(crate) lists: Lists,
    /// How long the value is as MessagePack.
    pub(crate) size_bytes: usize,
}

#[derive(Debug, Default)]
struct Encoding {
    step: Cell<Step>,
    lists: RefCell<Lists>,
    /// How many bytes are left out, and how many marks are in their place.
    left_out_bytes: Cell<usize>,
    marks: Cell<usize>,
}

/// How far a list and the writer are with each other.
#[derive(Debug, Clone, Copy, Default)]
enum Step {
    #[default]
    None,
    /// What is written next begins a list, if anything is.
    Asked,
    /// It began here.
    Begun { at: usize },
    /// What is written next is to be the mark in its place.
    Marked { at: usize, number: u64 },
}

/// The outline of `value`, which is about so long.
pub(crate) fn encode<T: Serialize + ?Sized>(
    value: &T,
    size_bytes: usize,
) -> Result<Encoded, rmp_serde::encode::Error> {
    encode_all(std::slice::from_ref(&value), size_bytes)
}

/// The outlines of the values one behind the other, about so long.
pub(crate) fn encode_all<T: Serialize>(
    values: &[T],
    size_bytes: usize,
) -> Result<Encoded, rmp_serde::encode::Error> {
    let encoding = Rc::new(Encoding::default());
    let bytes = {
        let _current = Current::set(Some(Rc::clone(&encoding)));
        let mut writer = Writer {
            out: Vec::with_capacity(size_bytes),
            encoding: Rc::clone(&encoding),
        };
        for value in values {
            rmp_serde::encode::write_named(&mut writer, value)?;
        }
        writer.out
    };
    Ok(Encoded {
        size_bytes: bytes.len() - encoding.marks.get() * MARK_SIZE_BYTES
            + encoding.left_out_bytes.get(),
        bytes,
        lists: encoding.lists.take(),
    })
}

/// Whether lists may leave themselves out now.
pub(crate) fn is_current() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// Leaves a list out, or writes `items`, which are all of it, if the serializer is another one.
pub(crate) fn leave_out<S: Serializer, T: Serialize>(
    serializer: S,
    parts: &Arc<Parts>,
    len: usize,
    items: impl Iterator<Item = T>,
) -> Result<S::Ok, S::Error> {
    let Some(encoding) = CURRENT.with_borrow(Option::clone) else {
        return serializer.collect_seq(items);
    };
    encoding.step.set(Step::Asked);
    let sequence = serializer.serialize_seq(Some(len));
    let step = encoding.step.take();
    let mut sequence = sequence?;
    let Step::Begun { at } = step else {
        for item in items {
            sequence.serialize_element(&item)?;
        }
        return sequence.end();
    };
    let number = parts.number();
    encoding.step.set(Step::Marked { at, number });
    let marked = sequence.serialize_element(&());
    let step = encoding.step.take();
    marked?;
    if !matches!(step, Step::None) {
        return Err(S::Error::custom("a list can't be left out here"));
    }
    let left_out_bytes = encoding.left_out_bytes.get() + parts.size_bytes();
    encoding.left_out_bytes.set(left_out_bytes);
    encoding.marks.set(encoding.marks.get() + 1);
    let mut lists = encoding.lists.borrow_mut();
    lists.insert(number, Arc::clone(parts));
    drop(lists);
    sequence.end()
}

/// Puts the thread's encoding back to what it was.
struct Current(Option<Rc<Encoding>>);

impl Current {
    fn set(encoding: Option<Rc<Encoding>>) -> Self {
        Self(CURRENT.replace(encoding))
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

struct Writer {
    out: Vec<u8>,
    encoding: Rc<Encoding>,
}

impl Writer {
    #[cold]
    fn take_step(&mut self, bytes: &[u8]) {
        let step = &self.encoding.step;
        match step.get() {
            Step::Asked => step.set(Step::Begun { at: self.out.len() }),
            Step::Marked { at, number } => {
                step.set(Step::None);
                self.out.truncate(at);
                return outline::write_mark(number, &mut self.out);
            }
            Step::None | Step::Begun { .. } => {}
        }
        self.out.extend_from_slice(bytes);
    }
}

impl io::Write for Writer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.encoding.step.get() {
            Step::None => self.out.extend_from_slice(bytes),
            _ => self.take_step(bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
