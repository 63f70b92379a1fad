//! What is done to a list and a vector alike.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{List, tests::edits::Random};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) count: u32,
}

pub(super) fn item(id: usize) -> Item {
    Item {
        name: "n".repeat(id % 5),
        id: format!("item-{id}"),
        count: 0,
    }
}

pub(super) fn items(ids: std::ops::Range<usize>) -> Vec<Item> {
    ids.map(item).collect()
}

/// What is done to a list: each in as many ways as there are places.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit {
    Set,
    Rename,
    Duplicate,
    Push,
    Insert,
    InsertMany,
    Remove,
    RemoveMany,
    Move,
    MoveMany,
    Swap,
    Reverse,
    Retain,
    Truncate,
    Clear,
    Nothing,
}

pub(super) fn any_edit() -> impl Strategy<Value = Edit> {
    use Edit::*;
    prop_oneof![
        8 => Just(Set),
        1 => Just(Rename),
        1 => Just(Duplicate),
        4 => Just(Push),
        4 => Just(Insert),
        3 => Just(InsertMany),
        4 => Just(Remove),
        2 => Just(RemoveMany),
        3 => Just(Move),
        2 => Just(MoveMany),
        2 => Just(Swap),
        1 => Just(Reverse),
        2 => Just(Retain),
        1 => Just(Truncate),
        1 => Just(Clear),
        1 => Just(Nothing),
    ]
}

/// What lists and vectors have alike.
pub(super) trait Edited {
    fn edit(&mut self, edit: Edit, random: &mut Random, next_id: &mut usize);
}

macro_rules! edited {
    ($list:ident) => {
        impl Edited for $list<Item> {
            fn edit(&mut self, edit: Edit, random: &mut Random, next_id: &mut usize) {
                let len = self.len();
                let mut new = || {
                    *next_id += 1;
                    item(*next_id)
                };
                let (at, other) = (random.below(len.max(1)), random.below(len.max(1)));
                let some = random.below(30);
                match edit {
                    Edit::Push => self.push(new()),
                    Edit::Insert => self.insert(at, new()),
                    Edit::InsertMany => (0..some).for_each(|_| self.insert(at, new())),
                    Edit::Clear => self.clear(),
                    Edit::Nothing => {}
                    _ if len == 0 => self.extend((0..some).map(|_| new())),
                    Edit::Set => self[at].count += 1,
                    Edit::Rename => self[at].id = new().id,
                    Edit::Duplicate => self[at].id = self[other].id.clone(),
                    Edit::Remove => drop(self.remove(at)),
                    Edit::RemoveMany => {
                        (0..some.min(len - at)).for_each(|_| drop(self.remove(at)));
                    }
                    Edit::Move => {
                        let item = self.remove(at);
                        self.insert(other.min(len - 1), item);
                    }
                    Edit::MoveMany => {
                        let moved: Vec<_> =
                            (0..some.min(len - at)).map(|_| self.remove(at)).collect();
                        let to = other.min(self.len());
                        moved.into_iter().for_each(|item| self.insert(to, item));
                    }
                    Edit::Swap => self.swap(at, other),
                    Edit::Reverse => {
                        let reversed: Vec<_> = self.iter().rev().cloned().collect();
                        *self = reversed.into();
                    }
                    Edit::Retain => {
                        let spared = random.below(4) + 1;
                        let mut nth = 0;
                        self.retain(|_| {
                            nth += 1;
                            nth % 5 < spared
                        });
                    }
                    Edit::Truncate => self.truncate(other),
                }
            }
        }
    };
}

edited!(List);
edited!(Vec);
