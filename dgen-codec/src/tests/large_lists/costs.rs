//! What of a list is encoded, and what an item does that can't be.

use std::{cell::Cell, collections::BTreeMap};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    edited::{Item, item, items},
    places::Holder,
};
use crate::{
    List,
    plain::to_plain,
    stored::Stored,
    tests::model::{Model, tree},
};

thread_local! {
    /// How many items this thread has encoded.
    static ENCODED: Cell<usize> = const { Cell::new(0) };
}

#[derive(Debug, Clone, PartialEq)]
struct Counted(Item);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODED.set(ENCODED.get() + 1);
        assert!(self.0.name != "panics", "as it should");
        if self.0.name == "fails" {
            return Err(serde::ser::Error::custom("as it should"));
        }
        self.0.serialize(serializer)
    }
}

#[derive(Debug, Clone, Serialize)]
struct Shop {
    name: String,
    items: List<Counted>,
}

fn shop() -> Shop {
    Shop {
        name: "shop".to_owned(),
        items: items(0..1_000).into_iter().map(Counted).collect(),
    }
}

/// SPEC C2: the cost of a write grows with the change, not with the list: what did not change is not
/// encoded.
#[test]
fn a_change_encodes_a_few_items() {
    let mut shop = shop();
    let mut stored = Stored::encode(&shop, None).unwrap();
    let mut encoded = |change: &dyn Fn(&mut Shop)| {
        let before = shop.clone();
        ENCODED.set(0);
        change(&mut shop);
        let new = Stored::encode(&shop, Some(&stored)).unwrap();
        new.writes(Some(&stored));
        stored = new;
        // A state that does not count is thrown away, and costs the next one nothing.
        drop(before);
        ENCODED.get()
    };
    assert_eq!(encoded(&|_| ()), 0);
    assert_eq!(encoded(&|shop| shop.name.push('s')), 0);
    assert_eq!(encoded(&|shop| shop.items[500].0.count = 1), 8);
    assert_eq!(encoded(&|shop| shop.items.push(Counted(item(1_000)))), 1);
    assert_eq!(
        encoded(&|shop| shop.items.insert(500, Counted(item(1_001)))),
        9
    );
    assert_eq!(encoded(&|shop| drop(shop.items.remove(100))), 7);
    assert_eq!(encoded(&|shop| shop.items.swap(0, 999)), 16);
    assert_eq!(
        encoded(&|shop| shop.items.retain(|item| item.0.id != "item-300")),
        7
    );
    assert_eq!(encoded(&|shop| shop.items = shop.items.clone()), 0);
    assert_eq!(encoded(&|shop| shop.items.clear()), 0);
}

/// SPEC C2: the same of lists in the items of a list.
#[test]
fn a_change_in_a_list_in_a_list_encodes_a_few_items() {
    let shop = |id: usize| Holder {
        before: List::default(),
        id: format!("shop-{id}"),
        after: shop().items,
    };
    let mut shops: List<_> = (0..20).map(shop).collect();
    let stored = Stored::encode(&shops, None).unwrap();
    let before = shops.clone();
    shops[7].after[500].0.count = 1;
    ENCODED.set(0);
    let new = Stored::encode(&shops, Some(&stored)).unwrap();
    assert_eq!(ENCODED.get(), 8);
    assert_eq!(new.writes(Some(&stored)).len(), 1);
    drop(before);
}

/// SPEC C4: an item that serde can't encode is an error, and one that panics a panic; both leave
/// nothing behind.
#[test]
fn an_item_that_fails_leaves_nothing_behind() {
    let mut shop = shop();
    let stored = Stored::encode(&shop, None).unwrap();
    let with = |name: &str| {
        let mut shop = shop.clone();
        shop.items[10].0.name = name.to_owned();
        shop
    };
    let (fails, panics) = (with("fails"), with("panics"));
    let error = Stored::encode(&fails, Some(&stored)).unwrap_err();
    assert!(format!("{error:?}").contains("as it should"), "{error:?}");
    let panic = std::panic::catch_unwind(|| Stored::encode(&panics, Some(&stored)).is_ok());
    assert!(panic.is_err());
    // Nothing is left out any more.
    let expected = rmp_serde::to_vec_named(&shop.items.to_vec()).unwrap();
    assert_eq!(to_plain(&shop.items).unwrap(), expected);
    shop.items[10].0.count = 7;
    let new = Stored::encode(&shop, Some(&stored)).unwrap();
    assert_eq!(new.writes(Some(&stored)).len(), 1);
}

/// SPEC C4: an error names the item.
#[test]
fn an_item_that_does_not_decode_is_named() {
    #[derive(Debug, Deserialize)]
    struct Other {
        #[expect(dead_code, reason = "it is never read")]
        items: List<BTreeMap<String, String>>,
    }
    let model = Model::with(&shop());
    let error = tree(&model.keys).unwrap().decode::<Other>().unwrap_err();
    assert_eq!(error.path, r#".items[id="item-0"].count"#);
}
