//! Lists that share what did not change, against vectors of the same items.

mod costs;
mod edited;
mod places;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};

use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{edits::Random, model::Model};
use crate::{
    List,
    index::FracIndex,
    merge, order,
    plain::{NESTING_MAX, from_plain, to_plain},
    spacing,
    stored::Stored,
};
use edited::{Edit, Edited, Item, any_edit, item, items};
use places::{Holder, Places};

/// One state with lists and one with vectors, which are changed alike.
struct Twins<A, B> {
    lists: A,
    vecs: B,
    in_lists: Model,
    in_vecs: Model,
}

impl<A, B> Twins<A, B>
where
    A: Default + Serialize + DeserializeOwned + PartialEq + Debug + Clone,
    B: Default + Serialize + DeserializeOwned + PartialEq + Debug + Clone,
{
    fn new() -> Self {
        Self {
            lists: A::default(),
            vecs: B::default(),
            in_lists: Model::default(),
            in_vecs: Model::default(),
        }
    }

    /// Stores both: the same keys, by the same number of touches, of which each is needed.
    fn check(&mut self) {
        // As a server does: the state before stays for a while.
        let before = self.lists.clone();
        let touched = self.in_lists.store(&self.lists);
        assert_eq!(touched, self.in_vecs.store(&self.vecs));
        assert!(self.in_lists.keys == self.in_vecs.keys, "{:#?}", self.vecs);
        drop(before);
        assert_eq!(self.in_lists.load::<A>(), self.lists);
        assert_eq!(self.in_vecs.load::<A>(), self.lists);
        assert_eq!(self.in_lists.load::<B>(), self.vecs);
        let size_bytes = |model: &Model| model.stored.as_ref().unwrap().size_bytes();
        assert_eq!(
            size_bytes(&self.in_lists),
            to_plain(&self.vecs).unwrap().len()
        );
        assert_eq!(size_bytes(&self.in_lists), size_bytes(&self.in_vecs));
    }

    /// Goes on from what is stored; or with the type of the field changed.
    fn restart(&mut self, random: &mut Random) {
        match random.below(4) {
            0 => {
                self.in_lists.reload();
                self.in_vecs.reload();
                self.lists = self.in_lists.load();
            }
            1 => self.lists = from_plain(&to_plain(&self.lists).unwrap()).unwrap(),
            2 => {
                let stored = self.in_lists.stored.take();
                self.in_lists.stored = self.in_vecs.stored.replace(stored.unwrap());
            }
            _ => {}
        }
    }
}

/// Lists in the items of a list: with keys of their own, and in a value that has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row<L> {
    id: u64,
    name: serde_bytes::ByteBuf,
    pair: (u8, L),
    below: L,
    rows: Option<Box<Row<L>>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shelf<L> {
    id: String,
    row: Row<L>,
    below: L,
}

fn shelf<L: Default>(number: usize) -> Shelf<L> {
    let row = |rows| Row {
        id: number as u64,
        name: serde_bytes::ByteBuf::from(vec![1; number % 4]),
        pair: (3, L::default()),
        below: L::default(),
        rows,
    };
    Shelf {
        id: format!("shelf-{number}"),
        row: row(Some(Box::new(row(None)))),
        below: L::default(),
    }
}

/// Edits one of a shelf's lists; those of a pair are rare, so that most shelves have none.
fn edit_shelf<L: Edited>(
    shelf: &mut Shelf<L>,
    edit: Edit,
    random: &mut Random,
    next_id: &mut usize,
) {
    let place = random.below(9);
    let list = match (place, &mut shelf.row.rows) {
        (0, _) => &mut shelf.row.pair.1,
        (1, Some(row)) => &mut row.below,
        (2 | 3, _) => &mut shelf.row.below,
        _ => &mut shelf.below,
    };
    list.edit(edit, random, next_id);
}

/// The indices that items with these ids get if the list is looked at as a whole.
fn indices_as_a_whole(old: &[(String, FracIndex)], ids: &[String]) -> Vec<FracIndex> {
    let positions: HashMap<_, _> = old.iter().map(|(id, _)| id).zip(0..).collect();
    let position = |id: &String| positions.get(id).copied();
    let positions: Vec<Option<usize>> = ids.iter().map(position).collect();
    let keep = order::keepers(&positions);
    let mut slots: Vec<_> = positions
        .iter()
        .zip(keep)
        .map(|(position, keep)| Some(old[position.filter(|_| keep)?].1.clone()))
        .collect();
    spacing::fill(&mut slots);
    slots.into_iter().flatten().collect()
}

fn indices(stored: &Stored) -> Option<Vec<(String, FracIndex)>> {
    let list = stored.view().as_list()?;
    let id = |at| match list.id(at) {
        crate::keys::Id::Str(id) => id.to_owned(),
        crate::keys::Id::Bin(_) => unreachable!("ids are strings here"),
    };
    let index = |at| list.at(at).0.index.clone();
    Some((0..list.len()).map(|at| (id(at), index(at))).collect())
}

fn check_indices<L: Edited + Serialize + From<Vec<Item>>>(edits: &[Edit], seed: u64, size: usize) {
    let (mut random, mut next_id) = (Random(seed | 1), size);
    let mut list = L::from(items(0..size));
    let mut stored = Stored::encode(&list, None).unwrap();
    for edit in edits {
        list.edit(*edit, &mut random, &mut next_id);
        let new = Stored::encode(&list, Some(&stored)).unwrap();
        if let (Some(old), Some(new)) = (indices(&stored), indices(&new)) {
            let (ids, indices): (Vec<_>, Vec<_>) = new.into_iter().unzip();
            assert_eq!(indices, indices_as_a_whole(&old, &ids));
        }
        stored = new;
    }
}

/// Each case stores many states, and compares all of their keys.
fn few_cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.div_ceil(4),
        ..usual
    }
}

proptest! {
    #![proptest_config(few_cases())]

    /// SPEC C2, C3: a list is stored as a vector is, whatever is done to it.
    #[test]
    fn a_list_is_stored_as_a_vector(
        edits in vec((any_edit(), any::<bool>()), 1..40), seed: u64, size in 0_usize..100,
    ) {
        let mut random = Random(seed | 1);
        let mut twins = Twins::<List<Item>, Vec<Item>>::new();
        (twins.lists, twins.vecs) = (items(0..size).into(), items(0..size));
        twins.check();
        let mut next_id = size;
        for (edit, is_stored) in edits {
            let mut again = Random(random.0);
            let mut same_id = next_id;
            twins.lists.edit(edit, &mut random, &mut next_id);
            twins.vecs.edit(edit, &mut again, &mut same_id);
            prop_assert_eq!(&twins.lists, &twins.vecs);
            if is_stored {
                twins.check();
                twins.restart(&mut random);
            }
        }
        twins.check();
    }

    /// A list reads as a vector does after the same edits, and a clone from before as it was.
    #[test]
    fn a_list_reads_as_a_vector(edits in vec(any_edit(), 0..60), seed: u64, size in 0_usize..60, skipped in 0_usize..20) {
        let mut random = Random(seed | 1);
        let mut twins: (List<Item>, Vec<Item>) = (items(0..size).into(), items(0..size));
        let mut next_id = size;
        for edit in edits {
            let before = twins.clone();
            let (mut again, mut same_id) = (Random(random.0), next_id);
            twins.0.edit(edit, &mut random, &mut next_id);
            twins.1.edit(edit, &mut again, &mut same_id);
            twins.0.assert_is_sound();
            prop_assert_eq!(&twins.0, &twins.1);
            prop_assert_eq!(before.0, before.1);
        }
        let (mut list, mut items) = twins;
        prop_assert_eq!(list.len(), items.len());
        prop_assert_eq!(list.is_empty(), items.is_empty());
        prop_assert_eq!((list.first(), list.last()), (items.first(), items.last()));
        for at in 0..items.len() + 2 {
            prop_assert_eq!(list.get(at), items.get(at));
        }
        prop_assert!(list.iter().eq(&items) && list.iter().rev().eq(items.iter().rev()));
        let ends = |mut iter: Box<dyn DoubleEndedIterator<Item = &Item> + '_>| {
            let first = iter.nth(skipped).cloned();
            (first, iter.nth_back(skipped).cloned(), iter.size_hint(), iter.cloned().collect::<Vec<_>>())
        };
        prop_assert_eq!(ends(Box::new(list.iter())), ends(Box::new(items.iter())));
        prop_assert_eq!(format!("{list:?}"), format!("{items:?}"));
        prop_assert!(items.iter().all(|item| list.contains(item)) && !list.contains(&item(usize::MAX)));
        prop_assert_eq!(serde_json::to_string(&list).unwrap(), serde_json::to_string(&items).unwrap());
        list.iter_mut().for_each(|item| item.count += 1);
        items.iter_mut().for_each(|item| item.count += 1);
        if let (Some(one), Some(other)) = (list.first_mut(), items.first_mut()) {
            one.count += 7;
            other.count += 7;
        }
        if let (Some(one), Some(other)) = (list.last_mut(), items.last_mut()) {
            one.count += 9;
            other.count += 9;
        }
        let clone = list.clone();
        prop_assert_eq!(clone.into_iter().collect::<Vec<_>>(), items.clone());
        prop_assert_eq!(list.pop(), items.pop());
        prop_assert_eq!(list.to_vec(), items.clone());
        prop_assert_eq!(Vec::from(list), items);
    }

    /// SPEC C2, C3: so it is wherever it is.
    #[test]
    fn a_list_is_stored_as_a_vector_wherever_it_is(
        edits in vec((any_edit(), any::<bool>()), 1..30), seed: u64, size in 0_usize..40,
    ) {
        let mut random = Random(seed | 1);
        let mut twins = Twins::<Places<List<Item>>, Places<Vec<Item>>>::new();
        (twins.lists.plain, twins.vecs.plain) = (items(0..size).into(), items(0..size));
        let mut next_id = size;
        for (edit, is_stored) in edits {
            let mut again = Random(random.0);
            let mut same_id = next_id;
            let mut inner = Random(random.0 ^ 0x5555 | 1);
            let mut inner_again = Random(inner.0);
            twins.lists.edit(&mut random, |list| list.edit(edit, &mut inner, &mut next_id));
            twins.vecs.edit(&mut again, |list| list.edit(edit, &mut inner_again, &mut same_id));
            if is_stored {
                twins.check();
                twins.restart(&mut random);
            }
        }
        twins.check();
    }

    /// SPEC C2, C3: and in the items of another list.
    #[test]
    fn a_list_in_a_list_is_stored_as_a_vector(
        edits in vec((any_edit(), any::<bool>()), 1..40), seed: u64, size in 0_usize..30,
    ) {
        let mut random = Random(seed | 1);
        let mut twins = Twins::<List<Shelf<List<Item>>>, Vec<Shelf<Vec<Item>>>>::new();
        twins.lists.extend((0..size).map(shelf));
        twins.vecs.extend((0..size).map(shelf));
        let (mut next_id, mut next_shelf) = (0, size);
        for (edit, is_stored) in edits {
            let len = twins.vecs.len();
            let at = random.below(len.max(1));
            match random.below(12) {
                0 if len > 0 => {
                    twins.lists.remove(at);
                    twins.vecs.remove(at);
                }
                1 if len > 0 => {
                    let (list, vec) = (twins.lists.remove(at), twins.vecs.remove(at));
                    let to = random.below(len);
                    twins.lists.insert(to, list);
                    twins.vecs.insert(to, vec);
                }
                2 if len > 0 => {
                    twins.lists[at].below = twins.lists[len - 1].row.below.clone();
                    twins.vecs[at].below = twins.vecs[len - 1].row.below.clone();
                }
                3..=9 if len > 0 => {
                    let (mut again, mut same_id) = (Random(random.0), next_id);
                    edit_shelf(&mut twins.lists[at], edit, &mut random, &mut next_id);
                    edit_shelf(&mut twins.vecs[at], edit, &mut again, &mut same_id);
                }
                _ => {
                    next_shelf += 1;
                    twins.lists.insert(at, shelf(next_shelf));
                    twins.vecs.insert(at, shelf(next_shelf));
                }
            }
            if is_stored {
                twins.check();
                twins.restart(&mut random);
            }
        }
        twins.check();
    }

    /// SPEC C2: the fewest possible items are re-indexed, and the new ones get the shortest indices, though
    /// most of a list is not looked at.
    #[test]
    fn indices_are_those_of_the_list_as_a_whole(
        edits in vec(any_edit(), 1..30), seed: u64, size in 0_usize..100,
    ) {
        check_indices::<List<Item>>(&edits, seed, size);
        check_indices::<Vec<Item>>(&edits, seed, size);
    }

    /// SPEC C3: two edits of one state merge as they do with vectors.
    #[test]
    fn lists_merge_as_vectors_do(
        mine in vec(any_edit(), 0..6), theirs in vec(any_edit(), 0..6), seed: u64, size in 0_usize..40,
    ) {
        type Shop<L> = BTreeMap<String, Option<L>>;
        let mut random = Random(seed | 1);
        let mut base = (List::from(items(0..size)), items(0..size));
        let mut next_id = size;
        let mut edited = |edits: &[Edit]| {
            let mut both = base.clone();
            for edit in edits {
                let (mut again, mut same_id) = (Random(random.0), next_id);
                both.0.edit(*edit, &mut random, &mut next_id);
                both.1.edit(*edit, &mut again, &mut same_id);
            }
            both
        };
        let (mine, theirs) = (edited(&mine), edited(&theirs));
        let shop = |list: &List<Item>| Shop::from([("items".to_owned(), Some(list.clone()))]);
        let shop_of_vec = |list: &Vec<Item>| Shop::from([("items".to_owned(), Some(list.clone()))]);
        let merged = merge(&shop(&base.0), &shop(&mine.0), &shop(&theirs.0)).unwrap();
        let expected = merge(&shop_of_vec(&base.1), &shop_of_vec(&mine.1), &shop_of_vec(&theirs.1)).unwrap();
        base.0 = merged["items"].clone().unwrap();
        prop_assert_eq!(&base.0, expected["items"].as_ref().unwrap());
    }
}

/// SPEC C5: at one spot too, where neighbours must make room.
#[test]
fn indices_at_one_spot_are_those_of_the_list_as_a_whole() {
    for (place, step) in [(0, 0), (19, 0), (20, 1), (24, 0), (39, 1)] {
        let mut list: List<Item> = items(0..40).into();
        let mut stored = Stored::encode(&list, None).unwrap();
        for id in 40..500 {
            list.insert(place + (id - 40) * step, item(id));
            let new = Stored::encode(&list, Some(&stored)).unwrap();
            let (ids, found): (Vec<_>, Vec<_>) = indices(&new).unwrap().into_iter().unzip();
            assert_eq!(found, indices_as_a_whole(&indices(&stored).unwrap(), &ids));
            stored = new;
        }
    }
}

/// SPEC C1, C3: lists in lists, with ids and without.
#[test]
fn lists_in_lists_are_stored_as_vectors_are() {
    type Lists = List<Holder<List<Item>>>;
    type Vecs = Vec<Holder<Vec<Item>>>;
    let mut twins = Twins::<Lists, Vecs>::new();
    for id in 0..30 {
        let holder = |id: usize| Holder {
            before: items(0..id),
            id: format!("{id}"),
            after: items(id..2 * id),
        };
        twins.vecs.push(holder(id));
        let Holder { before, id, after } = holder(id);
        twins.lists.push(Holder {
            before: before.into(),
            id,
            after: after.into(),
        });
        twins.check();
    }
    twins.lists[20].after[7].count = 1;
    twins.vecs[20].after[7].count = 1;
    twins.check();
    twins.lists[3].before.clear();
    twins.vecs[3].before.clear();
    twins.check();

    let mut twins = Twins::<List<List<u32>>, Vec<Vec<u32>>>::new();
    for id in 0..30 {
        twins.lists.push((0..id).collect());
        twins.vecs.push((0..id).collect());
        twins.check();
    }
}

/// SPEC C1: items without ids, and what is no list of items, are stored as before.
#[test]
fn lists_without_ids_are_stored_as_vectors_are() {
    let mut twins = Twins::<List<u64>, Vec<u64>>::new();
    for number in 0..100 {
        twins.lists.push(number << (number % 60));
        twins.vecs.push(number << (number % 60));
        twins.check();
    }
    let mut twins = Twins::<List<Option<Item>>, Vec<Option<Item>>>::new();
    for id in 0..40 {
        let item = (id % 13 != 12).then(|| item(id));
        twins.lists.push(item.clone());
        twins.vecs.push(item);
        twins.check();
    }
    twins.lists.retain(Option::is_some);
    twins.vecs.retain(Option::is_some);
    twins.check();
    let long = Item {
        id: "i".repeat(1_001),
        ..item(0)
    };
    twins.lists.insert(3, Some(long.clone()));
    twins.vecs.insert(3, Some(long));
    twins.check();
    twins.lists.remove(3);
    twins.vecs.remove(3);
    twins.check();
}

/// SPEC C1: what is nested too deeply for keys of its own stays whole.
#[test]
fn lists_deep_down_are_stored_as_vectors_are() {
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    struct Deep<L> {
        items: Option<L>,
        next: Option<Box<Deep<L>>>,
    }
    fn deep<L: Default + From<Vec<Item>>>(levels: usize) -> Deep<L> {
        let fold = |next, level| Deep {
            items: Some(L::from(items(0..level % 20))),
            next: Some(Box::new(next)),
        };
        (1..levels).fold(Deep::default(), fold)
    }
    for levels in [1, 40, 46, 47, 48, 49, NESTING_MAX - 2] {
        let mut twins = Twins::<Deep<List<Item>>, Deep<Vec<Item>>>::new();
        (twins.lists, twins.vecs) = (deep(levels), deep(levels));
        twins.check();
        twins.lists.next = None;
        twins.vecs.next = None;
        twins.check();
    }
    for levels in NESTING_MAX - 2..NESTING_MAX + 3 {
        let is_stored = Stored::encode(&deep::<Vec<Item>>(levels), None).is_ok();
        assert_eq!(
            Stored::encode(&deep::<List<Item>>(levels), None).is_ok(),
            is_stored
        );
    }
    assert!(Stored::encode(&deep::<List<Item>>(NESTING_MAX + 2), None).is_err());
}

/// Chunks do not become ever shorter, whatever is inserted and removed.
#[test]
fn chunks_stay_few() {
    let mut random = Random(7);
    let mut list: List<usize> = (0..1_000).collect();
    for number in 0..20_000 {
        list.remove(random.below(list.len()));
        list.insert(random.below(list.len()), number);
    }
    list.assert_is_sound();
    assert!(list.chunks() < 500, "{}", list.chunks());
    list.retain(|number| number % 10 == 0);
    assert!(
        list.chunks() <= list.len() / 2,
        "{} of {}",
        list.chunks(),
        list.len()
    );
    list.truncate(1);
    assert_eq!(list.chunks(), 1);
    list.clear();
    assert_eq!(list.chunks(), 0);
}

/// Places behind the end are refused as a vector refuses them.
#[test]
fn places_behind_the_end_panic() {
    let list: List<u8> = (0..20).collect();
    let panics = |run: &dyn Fn(&mut List<u8>)| {
        let run = std::panic::AssertUnwindSafe(|| run(&mut list.clone()));
        assert!(std::panic::catch_unwind(run).is_err());
    };
    panics(&|list| assert_eq!(list.remove(20), 0));
    panics(&|list| list.insert(21, 0));
    panics(&|list| list[20] += 1);
    panics(&|list| assert_eq!(list[20], 0));
    panics(&|list| list.swap(0, 20));
}
