//! Two edits of one state, made one: a three-way merge of trees.
//!
//! It works on what the codec stores, maps by their entries and lists by their items, and not on
//! what a type means by it.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    canonical,
    error::{MergeError, MergeInput},
    interleave::interleave,
    msgpack::{self, Kind},
    plain::{from_plain, to_plain},
    split,
    tree::{IdLookup, List, ListView, MapView, Shape, View},
};

/// The state with what both sides changed: `mine` and `theirs` both began as `base`.
///
/// For work that takes long outside any transaction: it began with a copy of the state and made it
/// `mine`, while others made the stored state `theirs` (SPEC S7, S5). What only one side changed is
/// as that side has it; where both changed the same, `mine` wins:
///
/// | a value that is | is merged |
/// |---|---|
/// | a struct, or a map with string keys | entry by entry |
/// | a list of structs with an `id` each, as the [crate] stores it item by item | item by item, each entry by entry |
/// | anything else | whole: `mine` if `mine` changed it, or else `theirs` |
///
/// - An entry or item that one side removed and the other changed is as `mine` has it.
/// - One that both added is merged in turn: `mine` wins where they differ.
/// - Items are in the order of `theirs`, and those that `mine` added stand right behind the item that
///   they follow in `mine`. If `mine` moved items, it is the other way round. So where both
///   appended, the items of `mine` come first.
/// - A value that has become another kind of value, such as a map that was a number, is `mine` if
///   `mine` changed it, or else `theirs`.
///
/// A list without ids, and so a set, is merged whole, and so is a number: of two increments one is
/// lost. Give things that several sides add an id, or keep them in a map. A merge knows no rule that
/// holds between entries, such as a total and what it is the total of: where there is one, check it.
///
/// **A merge that is no `T` is given up, and the result is `mine`, whole**: what others did is lost
/// then. That happens where `T` wants values of several entries to fit: to an enum above all, when
/// both sides changed it to different variants with content.
///
/// The three are encoded, and the result decoded: the cost grows with the state, as n log n. Equal
/// maps count as equal in any order. A set that iterates in another order counts as changed, so make
/// `mine` from a clone of `base`.
///
/// # Errors
/// [`MergeError::Encode`] and [`MergeError::WrongLength`] if one of the three has no MessagePack,
/// so could not be stored either; [`MergeError::Decode`] if a result that is one of the sides as it
/// was can't be read from its own MessagePack. Nothing is lost: the three are as they were.
///
/// # Examples
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
/// struct Shop { is_open: bool, orders: Vec<Order> }
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
/// struct Order { id: String, is_paid: bool }
///
/// let order = |id: &str, is_paid| Order { id: id.to_owned(), is_paid };
/// let base = Shop { is_open: true, orders: vec![order("a", false), order("b", false)] };
///
/// // While long work collected the payment of `a`, others closed the shop and took an order.
/// let mut mine = base.clone();
/// mine.orders[0].is_paid = true;
/// let mut theirs = base.clone();
/// theirs.is_open = false;
/// theirs.orders.push(order("c", false));
///
/// let merged = dgen_codec::merge(&base, &mine, &theirs)?;
/// assert!(!merged.is_open);
/// assert_eq!(merged.orders, [order("a", true), order("b", false), order("c", false)]);
/// # Ok::<(), dgen_codec::MergeError>(())
/// ```
pub fn merge<T: Serialize + DeserializeOwned>(
    base: &T,
    mine: &T,
    theirs: &T,
) -> Result<T, MergeError> {
    let encode = |value, input| {
        to_plain(value).map_err(|source| MergeError::Encode {
            input,
            source: source.into(),
        })
    };
    let base = encode(base, MergeInput::Base)?;
    let mine = encode(mine, MergeInput::Mine)?;
    let theirs = encode(theirs, MergeInput::Theirs)?;
    let decode =
        |bytes: &[u8]| from_plain(bytes).map_err(|source| MergeError::Decode(source.into()));
    // Most often only one side changed anything: then there is nothing to take apart.
    if theirs == base || mine == theirs {
        return decode(&mine);
    }
    if mine == base {
        return decode(&theirs);
    }
    let merged = merge_plain(&base, &mine, &theirs)?;
    from_plain(&merged).or_else(|_| decode(&mine))
}

/// The plain part of [`merge`].
fn merge_plain(base: &[u8], mine: &[u8], theirs: &[u8]) -> Result<Vec<u8>, MergeError> {
    let shape = |bytes, input| {
        split::split_plain(bytes).map_err(|msgpack::Malformed| MergeError::WrongLength { input })
    };
    let base_shape = shape(base, MergeInput::Base)?;
    let mine_shape = shape(mine, MergeInput::Mine)?;
    let theirs_shape = shape(theirs, MergeInput::Theirs)?;
    let whole = Sides {
        base: Some(view(base, &base_shape)),
        mine: view(mine, &mine_shape),
        theirs: view(theirs, &theirs_shape),
    };
    let empty = List::empty();
    let merge = Merge { empty: &empty };
    let mut merged = Vec::with_capacity(mine.len().max(theirs.len()));
    merge.write(merge.value(whole), &mut merged);
    Ok(merged)
}

/// The same place on the three sides. With no base, both have added it.
#[derive(Debug, Clone, Copy)]
struct Sides<V> {
    base: Option<V>,
    mine: V,
    theirs: V,
}

/// What a merged value is made of.
#[derive(Debug, Clone, Copy)]
enum Merged<'a> {
    /// One side's.
    Whole(&'a [u8]),
    Map(Sides<MapView<'a>>),
    List(Sides<ListView<'a>>),
}

#[derive(Debug, Clone, Copy)]
struct Merge<'a> {
    /// Stands for empty lists, which are stored as values.
    empty: &'a List,
}

impl<'a> Merge<'a> {
    fn value(self, sides: Sides<View<'a>>) -> Merged<'a> {
        let Sides { base, mine, theirs } = sides;
        if let Some(side) = changed_side(base.map(|base| base.bytes), mine.bytes, theirs.bytes) {
            return Merged::Whole(side);
        }
        if let Some(maps) = sides.all(View::as_map) {
            return Merged::Map(maps);
        }
        if let Some(lists) = sides.all(|value| self.as_list(value)) {
            return Merged::List(lists);
        }
        let is_mine_changed = base.is_none_or(|base| !canonical::is_equal(base.bytes, mine.bytes));
        Merged::Whole(if is_mine_changed { mine } else { theirs }.bytes)
    }

    fn item(sides: Sides<MapView<'a>>) -> Merged<'a> {
        let Sides { base, mine, theirs } = sides;
        changed_side(base.map(|base| base.bytes), mine.bytes, theirs.bytes)
            .map_or(Merged::Map(sides), Merged::Whole)
    }

    /// What is in the merged map: what `mine` has, in its order, so that a tag stays before its
    /// content, and then what `theirs` added.
    fn entries(self, sides: Sides<MapView<'a>>) -> Vec<(&'a str, Merged<'a>)> {
        let Sides { base, mine, theirs } = sides;
        let find = |map: MapView<'a>, key| map.find(key).map(|at| map.value(at));
        let in_base = |key| base.and_then(|base| find(base, key));
        let kept = as_written(mine).filter_map(|(key, mine)| {
            let base = in_base(key);
            let merged = match (base, find(theirs, key)) {
                (base, Some(theirs)) => self.value(Sides { base, mine, theirs }),
                (Some(base), None) => Merged::Whole(unless_equal(base.bytes, mine.bytes)?),
                (None, None) => Merged::Whole(mine.bytes),
            };
            Some((key, merged))
        });
        let added = as_written(theirs)
            .filter(|(key, _)| mine.find(key).is_none() && in_base(key).is_none())
            .map(|(key, theirs)| (key, Merged::Whole(theirs.bytes)));
        kept.chain(added).collect()
    }

    /// What is in the merged list, in order.
    fn items(self, sides: Sides<ListView<'a>>) -> Vec<Merged<'a>> {
        let Sides { base, mine, theirs } = sides;
        let mut in_base = IdLookup::new(base.unwrap_or(ListView {
            bytes: &[],
            list: self.empty,
        }));
        let mut in_theirs = IdLookup::new(theirs);
        let base_positions: Vec<_> = (0..mine.len())
            .map(|at| in_base.find(mine.id(at)))
            .collect();
        let is_mine_moved = !base_positions.iter().flatten().is_sorted();
        // Items are numbered as in `mine`, and those of `theirs` alone after them.
        let mut merged = Vec::with_capacity(mine.len());
        for (at, base_at) in base_positions.into_iter().enumerate() {
            let item = mine.item(at);
            let base = base.and_then(|base| Some(base.item(base_at?)));
            let theirs_at = in_theirs.find(mine.id(at));
            merged.push(match (base, theirs_at.map(|at| theirs.item(at))) {
                (base, Some(theirs)) => Some(Self::item(Sides {
                    base,
                    mine: item,
                    theirs,
                })),
                (Some(base), None) => unless_equal(base.bytes, item.bytes).map(Merged::Whole),
                (None, None) => Some(Merged::Whole(item.bytes)),
            });
        }
        let mut in_mine = IdLookup::new(mine);
        let mut theirs_order = Vec::with_capacity(theirs.len());
        for at in 0..theirs.len() {
            let id = theirs.id(at);
            if let Some(number) = in_mine.find(id) {
                theirs_order.push(number);
            } else if in_base.find(id).is_none() {
                theirs_order.push(merged.len());
                merged.push(Some(Merged::Whole(theirs.item(at).bytes)));
            }
        }
        let mine_order: Vec<_> = (0..mine.len()).filter(|at| merged[*at].is_some()).collect();
        let order = if is_mine_moved {
            interleave(&mine_order, &theirs_order, merged.len())
        } else {
            interleave(&theirs_order, &mine_order, merged.len())
        };
        order.into_iter().filter_map(|at| merged[at]).collect()
    }

    /// Appends the value to `out`. Recurses no deeper than [`split`](split::split) takes values
    /// apart.
    fn write(self, value: Merged<'a>, out: &mut Vec<u8>) {
        match value {
            Merged::Whole(bytes) => out.extend_from_slice(bytes),
            Merged::Map(sides) => {
                let entries = self.entries(sides);
                write_head(rmp::encode::write_map_len(out, count(entries.len())));
                for (key, value) in entries {
                    write_head(rmp::encode::write_str(out, key));
                    self.write(value, out);
                }
            }
            Merged::List(sides) => {
                let items = self.items(sides);
                write_head(rmp::encode::write_array_len(out, count(items.len())));
                items.into_iter().for_each(|item| self.write(item, out));
            }
        }
    }

    fn as_list(self, value: View<'a>) -> Option<ListView<'a>> {
        let is_empty = || msgpack::head(value.bytes).is_ok_and(|head| head.kind == Kind::Array(0));
        let empty = || ListView {
            bytes: value.bytes,
            list: self.empty,
        };
        value.as_list().or_else(|| is_empty().then(empty))
    }
}

impl<V: Copy> Sides<V> {
    /// All of them as another type, if all are of it that there are.
    fn all<W>(self, to: impl Fn(V) -> Option<W>) -> Option<Sides<W>> {
        Some(Sides {
            base: match self.base {
                Some(base) => Some(to(base)?),
                None => None,
            },
            mine: to(self.mine)?,
            theirs: to(self.theirs)?,
        })
    }
}

/// The side that alone changed something, as far as bytes tell.
fn changed_side<'a>(base: Option<&[u8]>, mine: &'a [u8], theirs: &'a [u8]) -> Option<&'a [u8]> {
    if base == Some(theirs) || mine == theirs {
        Some(mine)
    } else {
        (base == Some(mine)).then_some(theirs)
    }
}

/// What `mine` has of something that `theirs` removed: nothing, unless `mine` changed it.
fn unless_equal<'a>(base: &[u8], mine: &'a [u8]) -> Option<&'a [u8]> {
    (!canonical::is_equal(base, mine)).then_some(mine)
}

/// The entries of a map in the order of its bytes.
fn as_written<'a>(map: MapView<'a>) -> impl Iterator<Item = (&'a str, View<'a>)> {
    let mut positions: Vec<_> = (0..map.len()).collect();
    positions.sort_unstable_by_key(|at| map.map.entries[*at].value.at);
    let entry = move |at| (map.key(at), map.value(at));
    positions.into_iter().map(entry)
}

fn view<'a>(bytes: &'a [u8], shape: &'a Shape) -> View<'a> {
    View { bytes, shape }
}

/// What MessagePack has no count for, two sides of 2³² entries, is cut off: then it does not decode.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn write_head<M, E: std::fmt::Debug>(written: Result<M, E>) {
    written.expect("a vector takes whatever is written to it");
}
