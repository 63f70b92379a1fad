//! Two edits of one state become one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde::{Deserialize, Serialize, Serializer};

use super::{
    edits::Random,
    value::{Value, any_value},
};
use crate::{MergeError, MergeInput, merge};

/// What holds for any three values, the merge of the model among it.
fn check_laws(base: &Value, mine: &Value, theirs: &Value) {
    assert_eq!(merge(base, mine, base).unwrap(), *mine);
    assert_eq!(merge(base, base, theirs).unwrap(), *theirs);
    assert_eq!(merge(base, mine, mine).unwrap(), *mine);
    let merged = merge(base, mine, theirs).unwrap();
    assert_eq!(merged, model(Some(base), mine, theirs));
}

proptest! {
    /// SPEC S7: what one side alone changed is that side's, whatever the values; nothing panics.
    #[test]
    fn any_values_merge(base in any_value(), mine in any_value(), theirs in any_value()) {
        check_laws(&base, &mine, &theirs);
    }

    /// SPEC S7: as above where the sides have entries and items in common, not only the root.
    #[test]
    fn any_values_in_one_state_merge(
        values in vec([any_value(), any_value(), any_value()], 1..4), is_list: bool,
    ) {
        let side = |side: usize| {
            let named = values.iter().enumerate().map(|(at, sides)| {
                let (name, value) = (Value::Str(at.to_string()), sides[side].clone());
                if is_list { item(name, value) } else { Value::Map(vec![(name, value)]) }
            });
            Value::Array(named.collect())
        };
        let state = |side_of: usize| Value::Map(vec![
            (Value::str("values"), side(side_of)),
            (Value::str("mine"), side(usize::from(side_of == 1))),
            (Value::str("theirs"), side(2 * usize::from(side_of == 2))),
        ]);
        let (base, mine, theirs) = (state(0), state(1), state(2));
        check_laws(&base, &mine, &theirs);
        let merged = merge(&base, &mine, &theirs).unwrap();
        prop_assert_eq!(entry(&merged, "mine"), entry(&mine, "mine"));
        prop_assert_eq!(entry(&merged, "theirs"), entry(&theirs, "theirs"));
    }

    /// SPEC S7: the ids of a merged list are those that the sides left, each once; the order is the
    /// one that this side gave to what it has.
    #[test]
    fn ids_are_merged_as_a_set(
        base in any_ids(), mine in any_ids(), theirs in any_ids(), is_mine_moved: bool,
    ) {
        let sorted = |ids: &[u8]| ids.iter().copied().collect::<BTreeSet<_>>();
        let mine = if is_mine_moved { mine } else { in_order_of(&base, mine) };
        let list = |ids: &[u8]| Value::Array(
            ids.iter().map(|id| item(Value::Str(id.to_string()), Value::Nil)).collect(),
        );
        let merged = merge(&list(&base), &list(&mine), &list(&theirs)).unwrap();
        let merged: Vec<u8> = ids(&merged).iter().map(|id| id.parse().unwrap()).collect();
        let [in_base, in_mine, in_theirs] = [&base, &mine, &theirs].map(|ids| sorted(ids));
        let expected = (0..20).filter(|id| {
            let has = [&in_mine, &in_theirs].map(|ids| ids.contains(id));
            has == [true, true] || has != [false, false] && !in_base.contains(id)
        });
        prop_assert_eq!(sorted(&merged), expected.collect());
        prop_assert_eq!(merged.len(), sorted(&merged).len());
        let base_order = mine.iter().filter_map(|id| base.iter().position(|base| base == id));
        let first = if base_order.is_sorted() { &theirs } else { &mine };
        let of_first = |ids: &[u8]| ids.iter().copied().filter(|id| first.contains(id) && merged.contains(id)).collect::<Vec<_>>();
        prop_assert_eq!(of_first(&merged), of_first(first));
    }

    /// SPEC S7: edits of different entries and items are all there.
    #[test]
    fn disjoint_edits_are_all_there(edits in vec((any::<bool>(), 0..4), 0..20), is_list: bool) {
        let state = |is_edited: &dyn Fn(bool) -> bool| {
            let entries = edits.iter().enumerate().filter_map(|(at, (is_mine, edit))| {
                let name = Value::Str(at.to_string());
                let content = |text| Value::Map(vec![(Value::str("text"), Value::str(text))]);
                let content = match (edit, is_edited(*is_mine)) {
                    (0, true) | (1, false) => return None,
                    (2, true) => content("changed"),
                    _ => content("as it was"),
                };
                Some((name, content))
            });
            let entries: Vec<_> = entries.collect();
            if is_list {
                let items = entries.into_iter().map(|(id, content)| item(id, content));
                Value::Array(items.collect())
            } else {
                Value::Map(entries)
            }
        };
        let base = state(&|_| false);
        let (mine, theirs) = (state(&|is_mine| is_mine), state(&|is_mine| !is_mine));
        let merged = merge(&base, &mine, &theirs).unwrap();
        let expected = state(&|_| true);
        match (&merged, &expected) {
            (Value::Array(merged), Value::Array(expected)) => {
                prop_assert_eq!(merged.len(), expected.len());
                prop_assert!(expected.iter().all(|item| merged.contains(item)));
            }
            _ => prop_assert_eq!(&merged, &expected),
        }
        prop_assert_eq!(merge(&base, &mine, &base).unwrap(), mine);
    }
}

/// SPEC S7: any two scripts of edits of one value merge. `CODEC_EDITS_SEED` replays one pair.
#[test]
fn edit_scripts_merge() {
    let one = std::env::var("CODEC_EDITS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = one.map_or(1..=5_000, |seed| seed..=seed);
    for seed in seeds {
        println!("CODEC_EDITS_SEED={seed}");
        let mut random = Random(seed);
        (0..4).for_each(|_| _ = random.below(2));
        let base = random.value(3);
        let mut edited = || {
            let mut value = base.clone();
            (0..3).for_each(|_| random.edit(&mut value, 4));
            value
        };
        let (mine, theirs) = (edited(), edited());
        check_laws(&base, &mine, &theirs);
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Shop {
    name: String,
    is_open: bool,
    tags: Vec<String>,
    orders: Vec<Order>,
    stock: HashMap<String, Stock>,
    owner: Owner,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: String,
    total: u32,
    note: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Stock {
    count: u32,
    by_shelf: HashMap<u32, u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
enum Owner {
    #[default]
    Nobody,
    Person {
        name: String,
        age: u8,
    },
    Company {
        number: u64,
    },
}

fn order(id: &str) -> Order {
    Order {
        id: id.to_owned(),
        total: 1,
        note: None,
    }
}

fn shop() -> Shop {
    let stock = |name: &str| {
        let by_shelf = (0..20).map(|shelf| (shelf, 1)).collect();
        (name.to_owned(), Stock { count: 1, by_shelf })
    };
    Shop {
        name: "shop".to_owned(),
        orders: ["a", "b", "c", "d"].map(order).into(),
        stock: ["tea", "jam", "oil"].map(stock).into(),
        ..Shop::default()
    }
}

/// Merges two changes of a shop.
fn merged(mine: impl Fn(&mut Shop), theirs: impl Fn(&mut Shop)) -> Shop {
    // Hash maps in an order of their own each, as when they were read from the store.
    let (base, mut my_shop, mut their_shop) = (shop(), shop(), shop());
    mine(&mut my_shop);
    theirs(&mut their_shop);
    merge(&base, &my_shop, &their_shop).unwrap()
}

fn order_ids(shop: &Shop) -> String {
    shop.orders.iter().map(|order| &*order.id).collect()
}

/// SPEC S7: mine wins where both changed the same, and nowhere else.
#[test]
fn mine_wins_what_both_changed() {
    let result = merged(
        |mine| {
            mine.name = "mine".to_owned();
            mine.tags.push("mine".to_owned());
            mine.orders[0].total = 2;
            mine.orders[0].note = Some("mine".to_owned());
        },
        |theirs| {
            theirs.name = "theirs".to_owned();
            theirs.is_open = true;
            theirs.tags.push("theirs".to_owned());
            theirs.orders[0].total = 3;
            theirs.orders[1].total = 3;
        },
    );
    let mut expected = shop();
    expected.name = "mine".to_owned();
    expected.is_open = true;
    expected.tags = vec!["mine".to_owned()];
    expected.orders[0] = Order {
        id: "a".to_owned(),
        total: 2,
        note: Some("mine".to_owned()),
    };
    expected.orders[1].total = 3;
    assert_eq!(result, expected);
}

/// SPEC S7: of a removal and a change, mine wins.
#[test]
fn mine_wins_over_a_removal_and_by_one() {
    let remove = |shop: &mut Shop| {
        shop.orders.remove(1);
        shop.stock.remove("tea");
    };
    let change = |shop: &mut Shop| {
        shop.orders[1].total = 2;
        shop.stock.entry("tea".to_owned()).or_default().count = 2;
    };
    let mut changed = shop();
    change(&mut changed);
    let mut removed = shop();
    remove(&mut removed);
    assert_eq!(merged(change, remove), changed);
    assert_eq!(merged(remove, change), removed);
    // What mine left alone goes, although its hash maps are in another order.
    assert_eq!(merged(|mine| mine.orders[0].total = 1, remove), removed);
}

/// SPEC S7: additions of both are there, also in a list that was empty or that one side emptied.
#[test]
fn both_add_to_lists_and_maps() {
    let base = Shop::default();
    let with = |id: &str| Shop {
        orders: vec![order(id)],
        stock: HashMap::from([(id.to_owned(), Stock::default())]),
        ..Shop::default()
    };
    let both = merge(&base, &with("x"), &with("y")).unwrap();
    assert_eq!(order_ids(&both), "xy");
    assert_eq!(both.stock.len(), 2);
    assert_eq!(merge(&with("y"), &base, &both).unwrap(), with("x"));
    assert_eq!(merge(&with("x"), &both, &base).unwrap(), with("y"));
    assert_eq!(merge(&both, &with("x"), &with("y")).unwrap(), base);

    let same = |total| Shop {
        orders: vec![Order {
            total,
            ..order("x")
        }],
        ..Shop::default()
    };
    assert_eq!(merge(&base, &same(2), &same(3)).unwrap(), same(2));
}

/// SPEC S7: items stand behind the neighbour that they were put behind.
#[test]
fn items_are_ordered_by_their_neighbours() {
    let insert =
        |at: usize, id: &'static str| move |shop: &mut Shop| shop.orders.insert(at, order(id));
    let order_of = |shop: Shop| order_ids(&shop);
    assert_eq!(order_of(merged(insert(1, "x"), insert(3, "y"))), "axbcyd");
    assert_eq!(order_of(merged(insert(0, "x"), insert(4, "y"))), "xabcdy");
    assert_eq!(order_of(merged(insert(4, "x"), insert(4, "y"))), "abcdxy");
    let reverse = |shop: &mut Shop| shop.orders.reverse();
    assert_eq!(order_of(merged(reverse, insert(1, "y"))), "dcbay");
    assert_eq!(order_of(merged(insert(1, "x"), reverse)), "dcbax");
    let rotate = |shop: &mut Shop| shop.orders.rotate_left(1);
    assert_eq!(order_of(merged(reverse, rotate)), "dcba");
    let remove_and_reverse = |shop: &mut Shop| {
        shop.orders.remove(0);
        shop.orders.reverse();
    };
    assert_eq!(order_of(merged(insert(1, "x"), remove_and_reverse)), "xdcb");
}

/// SPEC S7: a hash map that iterates in another order is no change, also inside a value that is
/// stored whole.
#[test]
fn the_order_of_hash_maps_is_no_change() {
    let result = merged(
        |mine| mine.name = "mine".to_owned(),
        |theirs| {
            for stock in theirs.stock.values_mut() {
                stock.by_shelf.insert(7, 70);
            }
        },
    );
    assert_eq!(result.name, "mine");
    for stock in result.stock.values() {
        assert_eq!(stock.by_shelf[&7], 70);
    }
}

/// SPEC S7: two halves of an enum are no value, and then the whole is mine.
#[test]
fn a_merge_that_does_not_decode_is_mine() {
    let person = |age| {
        let name = "Ada".to_owned();
        Owner::Person { name, age }
    };
    let owned = |owner: Owner, is_open| Shop {
        owner,
        is_open,
        ..Shop::default()
    };
    let company = Owner::Company { number: 7 };
    let mine = owned(company.clone(), false);
    let theirs = owned(person(8), true);
    let base = owned(person(7), false);
    // Mine removed the person and theirs changed it: no two halves, so theirs' rest is there.
    assert_eq!(merge(&base, &mine, &theirs).unwrap(), owned(company, true));
    // One variant, changed by both.
    let renamed = owned(
        Owner::Person {
            name: "Eve".to_owned(),
            age: 7,
        },
        false,
    );
    let expected = Owner::Person {
        name: "Eve".to_owned(),
        age: 8,
    };
    assert_eq!(
        merge(&base, &renamed, &theirs).unwrap(),
        owned(expected, true)
    );

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum State {
        One { a: u8 },
        Two { b: u8 },
        Three { c: u8 },
    }
    type Pair = BTreeMap<String, State>;
    let pair = |state, other| {
        Pair::from([
            ("state".to_owned(), state),
            ("other".to_owned(), State::One { a: other }),
        ])
    };
    let mine = pair(State::Two { b: 1 }, 0);
    let theirs = pair(State::Three { c: 1 }, 1);
    let base = pair(State::One { a: 1 }, 0);
    assert_eq!(merge(&base, &mine, &theirs).unwrap(), mine);
}

/// SPEC S12: what can't be encoded or decoded is an error that says which and why.
#[test]
fn what_has_no_messagepack_is_an_error() {
    /// Encodes as text unless it is bad, and is read from a number.
    #[derive(Deserialize)]
    struct Lopsided(i8);
    impl Serialize for Lopsided {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0 < 0 {
                return Err(serde::ser::Error::custom("not this one"));
            }
            serializer.serialize_str("good")
        }
    }
    let (good, bad) = (Lopsided(1), Lopsided(-1));
    for (sides, input) in [
        ([&bad, &good, &good], MergeInput::Base),
        ([&good, &bad, &good], MergeInput::Mine),
        ([&good, &good, &bad], MergeInput::Theirs),
    ] {
        let error = merge(sides[0], sides[1], sides[2]).err().unwrap();
        assert!(error.to_string().contains("not this one"), "{error}");
        assert!(matches!(error, MergeError::Encode { input: found, .. } if found == input));
    }
    let error = merge(&good, &good, &good).err().unwrap();
    assert!(matches!(error, MergeError::Decode(_)), "{error}");
}

/// SPEC S7: lists of 100,000 items merge, wherever the sides changed them.
#[test]
fn a_hundred_thousand_items_merge() {
    let base: Vec<_> = (0..100_000).map(|id| order(&id.to_string())).collect();
    let mut mine = base.clone();
    mine.reverse();
    mine.iter_mut().step_by(2).for_each(|order| order.total = 2);
    mine.push(order("mine"));
    let mut theirs = base.clone();
    for order in theirs.iter_mut().step_by(2) {
        order.note = Some("theirs".to_owned());
    }
    theirs.remove(0);
    theirs.rotate_left(50_000);
    theirs.insert(0, order("theirs"));
    let merged = merge(&base, &mine, &theirs).unwrap();
    assert_eq!(merged.len(), 100_002 - 1);
    let by_id: HashMap<_, _> = merged.iter().map(|order| (&*order.id, order)).collect();
    assert_eq!(by_id.len(), merged.len());
    assert_eq!(merged[0].id, "theirs");
    assert_eq!((merged[1].id.as_str(), merged[1].total), ("99999", 2));
    assert_eq!(merged[2].note.as_deref(), Some("theirs"));
}

fn item(id: Value, content: Value) -> Value {
    Value::Map(vec![(Value::str("id"), id), (Value::str("v"), content)])
}

fn entry<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Map(entries) = value else {
        return None;
    };
    let found = entries.iter().find(|(key, _)| *key == Value::str(name));
    found.map(|(_, value)| value)
}

fn ids(list: &Value) -> Vec<&str> {
    let Value::Array(items) = list else {
        panic!("{list:?} is no list");
    };
    let id = |item| match entry(item, "id") {
        Some(Value::Str(id)) => id.as_str(),
        other => panic!("{other:?} is no id"),
    };
    items.iter().map(id).collect()
}

fn any_ids() -> impl Strategy<Value = Vec<u8>> {
    subsequence((0..20).collect::<Vec<_>>(), 0..=20).prop_shuffle()
}

/// `ids` with those of `base` in the order they have there.
fn in_order_of(base: &[u8], mut ids: Vec<u8>) -> Vec<u8> {
    let common: Vec<_> = base.iter().copied().filter(|id| ids.contains(id)).collect();
    let mut common = common.into_iter();
    for id in ids.iter_mut().filter(|id| base.contains(id)) {
        *id = common.next().expect("as many as there are");
    }
    ids
}

/// The merge as it is documented, by the plainest means.
fn model(base: Option<&Value>, mine: &Value, theirs: &Value) -> Value {
    if let (Some(my_map), Some(their_map)) = (as_map(mine), as_map(theirs))
        && base.is_none_or(|base| as_map(base).is_some())
    {
        let base_map = base.and_then(as_map).unwrap_or_default();
        return Value::Map(model_entries(&base_map, &my_map, &their_map));
    }
    if let (Some(my_list), Some(their_list)) = (as_list(mine), as_list(theirs))
        && base.is_none_or(|base| as_list(base).is_some())
    {
        let base_list = base.and_then(as_list).unwrap_or_default();
        let merged = model_entries(&base_list, &my_list, &their_list);
        let base_order: Vec<_> = my_list
            .iter()
            .filter_map(|(id, _)| base_list.iter().position(|(base, _)| base == id))
            .collect();
        let (first, second) = if base_order.is_sorted() {
            (their_list, my_list)
        } else {
            (my_list, their_list)
        };
        let is_merged = |id: &Value| merged.iter().any(|(merged, _)| merged == id);
        let kept = |list: Vec<(Value, Value)>| {
            list.into_iter()
                .map(|(id, _)| id)
                .filter(is_merged)
                .collect::<Vec<_>>()
        };
        let (mut order, second) = (kept(first), kept(second));
        for (at, id) in second.iter().enumerate() {
            if !order.contains(id) {
                let before = at.checked_sub(1).map(|at| &second[at]);
                let at = before.map_or(0, |before| 1 + place(&order, before));
                order.insert(at, id.clone());
            }
        }
        let item = |id: Value| merged[place(&kept(merged.clone()), &id)].1.clone();
        return Value::Array(order.into_iter().map(item).collect());
    }
    if base == Some(mine) { theirs } else { mine }.clone()
}

fn model_entries(
    base: &[(Value, Value)],
    mine: &[(Value, Value)],
    theirs: &[(Value, Value)],
) -> Vec<(Value, Value)> {
    let find = |entries: &[(Value, Value)], key: &Value| {
        let found = entries.iter().find(|(found, _)| found == key);
        found.map(|(_, value)| value.clone())
    };
    let mut keys: Vec<Value> = Vec::new();
    for (key, _) in mine.iter().chain(theirs) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    let merged = keys.into_iter().filter_map(|key| {
        let base = find(base, &key);
        let value = match (base, find(mine, &key), find(theirs, &key)) {
            (base, Some(mine), Some(theirs)) => model(base.as_ref(), &mine, &theirs),
            (Some(base), Some(mine), None) if base == mine => return None,
            (_, Some(mine), None) => mine,
            (None, None, Some(theirs)) => theirs,
            _ => return None,
        };
        Some((key, value))
    });
    merged.collect()
}

/// The entries of what is stored by the entry.
fn as_map(value: &Value) -> Option<Vec<(Value, Value)>> {
    let Value::Map(entries) = value else {
        return None;
    };
    let is_name = |key: &Value| matches!(key, Value::Str(key) if key.len() <= 1_000);
    let is_once = |key| entries.iter().filter(|(other, _)| other == key).count() == 1;
    let is_by_entry = entries.iter().all(|(key, _)| is_name(key) && is_once(key));
    is_by_entry.then(|| entries.clone())
}

/// The items of what is stored by the item, with their ids; none of an empty list.
fn as_list(value: &Value) -> Option<Vec<(Value, Value)>> {
    let Value::Array(items) = value else {
        return None;
    };
    let mut list: Vec<(Value, Value)> = Vec::new();
    for item in items {
        let entries = as_map(item)?;
        let (_, id) = entries
            .into_iter()
            .find(|(key, _)| *key == Value::str("id"))?;
        let is_id = matches!(id, Value::Str(_) | Value::Bin(_));
        if !is_id || list.iter().any(|(other, _)| *other == id) {
            return None;
        }
        list.push((id, item.clone()));
    }
    Some(list)
}

fn place(order: &[Value], id: &Value) -> usize {
    let found = order.iter().position(|other| other == id);
    found.expect("what was merged is in order")
}
