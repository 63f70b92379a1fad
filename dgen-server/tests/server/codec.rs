//! States of every shape, through the server: what a handler leaves is what the next process reads.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::fmt::Debug;

use dgen_backend::{KeyRange, Transaction, tuple::Element};
use dgen_server::{
    Context, Failure, Handle, Never, Reply, Server, StartError, StartOptions, Tenant,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::support::{elsewhere::elsewhere, *};

/// A server whose state is set and read whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Keeper<T> {
    field: T,
    /// Beside it, so that it is seen to stay.
    name: String,
}

trait Field:
    Debug + Clone + PartialEq + Default + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<T> Field for T where
    T: Debug + Clone + PartialEq + Default + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum KeeperCall<T> {
    Set(T),
    Get,
}

impl<T: Field> Server for Keeper<T> {
    const NAME: &'static str = "Keeper";
    type Args = ();
    type InitError = Never;
    type Call = KeeperCall<T>;
    type Cast = Never;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self {
            field: T::default(),
            name: "kept".to_owned(),
        })
    }

    fn handle_call(&mut self, call: KeeperCall<T>, _cx: &mut Context<Self>) -> Reply {
        match call {
            KeeperCall::Set(field) => {
                self.field = field;
                Reply::ok(&())
            }
            KeeperCall::Get => Reply::ok(&*self),
        }
    }

    fn handle_cast(&mut self, cast: Never, _cx: &mut Context<Self>) {
        match cast {}
    }
}

async fn start<T: Field>(tenant: &Tenant, id: &str) -> Handle<Keeper<T>> {
    Handle::start(tenant, id, ()).await.unwrap()
}

async fn set<T: Field>(keeper: &Handle<Keeper<T>>, field: T) {
    keeper
        .call::<(), Never>(KeeperCall::Set(field))
        .await
        .unwrap();
}

async fn get<T: Field>(keeper: &Handle<Keeper<T>>) -> T {
    let state = keeper
        .call::<Keeper<T>, Never>(KeeperCall::Get)
        .await
        .unwrap();
    assert_eq!(state.name, "kept");
    state.field
}

/// What a process with a cold cache, elsewhere, reads.
async fn read_cold<T: Field>(store: &Store, id: &str) -> T {
    let options = StartOptions::default().cache(false);
    let tenant = elsewhere(&store.tenant);
    let keeper = Handle::<Keeper<T>>::start_with(&tenant, id, (), options);
    let keeper = keeper.await.unwrap();
    let read = get(&keeper).await;
    keeper.stop().await;
    read
}

/// The rows of the state, without its version.
async fn rows(tenant: &Tenant, id: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let id = Element::Tuple(vec![Element::String(id.into())]);
    let server = vec![Element::String("Keeper".into()), id];
    let state = tenant.subspace().subspace(&server).subspace(&"s");
    let all = async |tx: Transaction| tx.collect_range(KeyRange::subspace(&state)).await;
    let rows = tenant.database().transact(all).await.unwrap();
    let version = dgen_codec::version_key(&state);
    let rows = rows.into_iter().filter(|row| row.key[..] != version[..]);
    rows.map(|row| (row.key[state.bytes().len()..].to_vec(), row.value.to_vec()))
        .collect()
}

/// A field of each encoding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Shape {
    Struct {
        street: String,
        town: Town,
    },
    List(Vec<Item>),
    Numbers(Vec<u32>),
    Text(String),
    #[default]
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Town {
    town: String,
    people: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    id: String,
    count: u32,
}

fn item(number: u32) -> Item {
    Item {
        id: format!("item {number}"),
        count: number,
    }
}

fn shapes() -> Vec<Shape> {
    let town = Town {
        town: "Ulm".to_owned(),
        people: 3,
    };
    vec![
        Shape::Struct {
            street: "Hill".to_owned(),
            town,
        },
        Shape::List((0..5).map(item).collect()),
        Shape::Numbers(vec![3, 1, 2]),
        Shape::Text("x".repeat(250_000)),
        Shape::Nothing,
    ]
}

/// A list in a struct in a list, twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Board {
    id: String,
    about: About,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct About {
    title: String,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Column {
    id: String,
    cards: Vec<Item>,
}

fn board(number: u32) -> Board {
    let column = |column: u32| Column {
        id: format!("column {column}"),
        cards: (0..4)
            .map(|card| item(100 * number + 10 * column + card))
            .collect(),
    };
    let about = About {
        title: format!("Board {number}"),
        columns: (0..3).map(column).collect(),
    };
    Board {
        id: format!("board {number}"),
        about,
    }
}

on_each_store! {
    /// SPEC C2, C3: a field changes from each encoding to each other: a struct, a list with ids, a
    /// list of values, a value of several chunks, nothing. A cold process reads it, and no row of
    /// the encoding before is left.
    async fn a_field_changes_from_each_encoding_to_each_other(store: Store) {
        let keeper = start::<Shape>(&store.tenant, "changed").await;
        for (number, to) in shapes().into_iter().enumerate() {
            let id = format!("fresh {number}");
            let fresh = start::<Shape>(&store.tenant, &id).await;
            set(&fresh, to.clone()).await;
            let fresh_rows = rows(&store.tenant, &id).await;
            for from in shapes() {
                set(&keeper, from.clone()).await;
                set(&keeper, to.clone()).await;
                assert_eq!(get(&keeper).await, to);
                assert_eq!(read_cold::<Shape>(&store, "changed").await, to, "from {from:?}");
                // Fractional indices follow from the edits alone, and these are the same ones.
                assert!(rows(&store.tenant, "changed").await == fresh_rows, "from {from:?} to {to:?}");
            }
        }
    }

    /// SPEC C2, C4: versions of a server of one name that keep a field as a struct, as a list, as a
    /// value, and back: each reads what the one before it has left, and leaves its own.
    async fn versions_change_a_fields_type_and_back(store: Store) {
        async fn upgrade<Old: Contact, New: Contact>(store: &Store) {
            let id = "upgraded";
            let options = StartOptions::default().reset(true);
            let old = Handle::<Keeper<Old>>::start_with(&store.tenant, id, (), options);
            let old = old.await.unwrap();
            set(&old, Old::of("Ada", 7)).await;
            old.stop().await;
            let new = start::<New>(&store.tenant, id).await;
            assert_eq!(get(&new).await, New::of("Ada", 7));
            set(&new, New::of("Bob", 8)).await;
            new.stop().await;
            // And back.
            let old = start::<Old>(&store.tenant, id).await;
            assert_eq!(get(&old).await, Old::of("Bob", 8));
            old.stop().await;
        }
        upgrade::<AsStruct, AsList>(&store).await;
        upgrade::<AsStruct, AsText>(&store).await;
        upgrade::<AsList, AsText>(&store).await;
    }

    /// SPEC C4, S12: a version that can't read the state does not start, says which key it is about,
    /// and overwrites nothing.
    async fn a_version_that_cannot_read_the_state_overwrites_nothing(store: Store) {
        let keeper = start::<Shape>(&store.tenant, "kept").await;
        set(&keeper, shapes().remove(0)).await;
        keeper.stop().await;
        let before = rows(&store.tenant, "kept").await;
        let started = Handle::<Keeper<u32>>::start(&store.tenant, "kept", ()).await;
        match started.unwrap_err() {
            StartError::Failed(failure @ Failure::State { .. }) => {
                assert!(failure.to_string().contains("field"), "{failure}");
            }
            error => panic!("{error:?}"),
        }
        assert!(rows(&store.tenant, "kept").await == before);
        assert_eq!(read_cold::<Shape>(&store, "kept").await, shapes()[0]);
    }

    /// SPEC C1, C2: lists in structs in lists: edits at every depth are read back, and each writes
    /// little more than itself.
    async fn nested_lists_keep_every_edit(store: Store, faultless = "it counts what is read or written") {
        let (tenant, counts) = counting(&store);
        let keeper = start::<Vec<Board>>(&tenant, "boards").await;
        let mut boards: Vec<_> = (0..20).map(board).collect();
        set(&keeper, boards.clone()).await;
        type Edit = (&'static str, fn(&mut Vec<Board>));
        let edits: [Edit; 8] = [
            ("change a card", |boards| boards[3].about.columns[1].cards[2].count += 1),
            ("add a card", |boards| boards[3].about.columns[1].cards.insert(1, item(9_999))),
            ("move a card", |boards| {
                let card = boards[3].about.columns[1].cards.remove(4);
                boards[3].about.columns[1].cards.insert(0, card);
            }),
            ("move it to another column", |boards| {
                let card = boards[3].about.columns[1].cards.remove(0);
                boards[3].about.columns[2].cards.push(card);
            }),
            ("empty a column", |boards| boards[3].about.columns[0].cards.clear()),
            ("rename a board", |boards| boards[4].about.title = "Renamed".to_owned()),
            ("move a board", |boards| boards.rotate_left(1)),
            ("remove a board", |boards| drop(boards.remove(10))),
        ];
        for (what, edit) in edits {
            edit(&mut boards);
            let before = counts.written_bytes();
            set(&keeper, boards.clone()).await;
            // A board moves with its rows: some 20 of 100 bytes.
            let written = counts.written_bytes() - before;
            assert!(written < 8_000, "{what} wrote {written} bytes");
            assert_eq!(get(&keeper).await, boards, "{what}");
            assert_eq!(read_cold::<Vec<Board>>(&store, "boards").await, boards, "{what}");
        }
    }

    /// SPEC C2: moving one item of a long list writes that item alone, wherever it goes.
    async fn moving_an_item_writes_that_item_alone(store: Store, faultless = "it counts what is read or written") {
        let (tenant, counts) = counting(&store);
        let keeper = start::<Vec<Item>>(&tenant, "list").await;
        let mut items: Vec<_> = (0..2_000).map(item).collect();
        set(&keeper, items.clone()).await;
        for (from, to) in [(0, 1_999), (1_999, 0), (500, 1_500), (1_000, 999)] {
            let moved = items.remove(from);
            items.insert(to, moved);
            let before = counts.written_bytes();
            set(&keeper, items.clone()).await;
            let written = counts.written_bytes() - before;
            assert!(written < 1_000, "{from} to {to} wrote {written} bytes");
            assert_eq!(read_cold::<Vec<Item>>(&store, "list").await, items);
        }
    }

    /// SPEC C2: a list grows to 100,000 items; the last ten thousand cost no more than the first, and a
    /// cold process reads them all in order.
    async fn a_list_grows_to_a_hundred_thousand_items(store: Store, faultless = "it counts what is read or written") {
        let (tenant, counts) = counting(&store);
        let journal = Handle::<Journal>::start(&tenant, (), ()).await.unwrap();
        let mut costs = Vec::new();
        for begin in (0..100_000).step_by(10_000) {
            let before = counts.written_bytes();
            journal.cast(Append { begin, count: 10_000 }).await.unwrap();
            costs.push(counts.written_bytes() - before);
        }
        let (first, last) = (costs[0], costs[costs.len() - 1]);
        assert!(last < first + first / 4, "{costs:?}");
        journal.stop().await;
        let cold = Handle::<Journal>::start(&elsewhere(&store.tenant), (), ()).await.unwrap();
        let read: (usize, bool) = cold.call::<_, Never>(()).await.unwrap();
        assert_eq!(read, (100_000, true));
    }

    /// SPEC C2, S4: a state of eight megabytes: its parts are written one by one, a small change
    /// beside them writes little, and a cold process reads it.
    async fn a_state_of_megabytes_works(store: Store, faultless = "it counts what is read or written") {
        let (tenant, counts) = counting(&store);
        let keeper = start::<Volumes>(&tenant, "large").await;
        let mut volumes = Volumes::default();
        for number in 0..8 {
            let text = format!("{number}").repeat(1_000_000);
            volumes.texts.insert(format!("volume {number}"), text);
            set(&keeper, volumes.clone()).await;
        }
        let before = counts.written_bytes();
        volumes.edition += 1;
        set(&keeper, volumes.clone()).await;
        let written = counts.written_bytes() - before;
        assert!(written < 1_000, "a small change wrote {written} bytes");
        assert!(read_cold::<Volumes>(&store, "large").await == volumes);
    }
}

/// A person's name and number, kept one way or another: each reads all of them.
trait Contact: Field {
    fn of(name: &str, number: u32) -> Self;
}

/// What any of the versions has left.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyContact {
    Struct { name: String, number: u32 },
    List(Vec<Item>),
    Text(String),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "AnyContact")]
struct AsStruct {
    name: String,
    number: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "AnyContact")]
struct AsList(Vec<Item>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "AnyContact")]
struct AsText(String);

impl Contact for AsStruct {
    fn of(name: &str, number: u32) -> Self {
        Self {
            name: name.to_owned(),
            number,
        }
    }
}

impl Contact for AsList {
    fn of(name: &str, count: u32) -> Self {
        Self(vec![Item {
            id: name.to_owned(),
            count,
        }])
    }
}

impl Contact for AsText {
    fn of(name: &str, number: u32) -> Self {
        Self(format!("{name} {number}"))
    }
}

impl AnyContact {
    fn into_contact<T: Contact>(self) -> T {
        match self {
            Self::Struct { name, number } => T::of(&name, number),
            // The first state, if it has to be read.
            Self::List(items) if items.is_empty() => T::default(),
            Self::List(items) => T::of(&items[0].id, items[0].count),
            Self::Text(text) => {
                let (name, number) = text.split_once(' ').unwrap();
                T::of(name, number.parse().unwrap())
            }
        }
    }
}

impl From<AnyContact> for AsStruct {
    fn from(contact: AnyContact) -> Self {
        contact.into_contact()
    }
}

impl From<AnyContact> for AsList {
    fn from(contact: AnyContact) -> Self {
        contact.into_contact()
    }
}

impl From<AnyContact> for AsText {
    fn from(contact: AnyContact) -> Self {
        contact.into_contact()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Volumes {
    edition: u32,
    texts: std::collections::BTreeMap<String, String>,
}

/// A list that grows by many items with each message.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Journal {
    items: Vec<Item>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Append {
    begin: u32,
    count: u32,
}

impl Server for Journal {
    const NAME: &'static str = "Journal";
    type Args = ();
    type InitError = Never;
    type Call = ();
    type Cast = Append;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, (): (), _cx: &mut Context<Self>) -> Reply {
        let is_in_order = self
            .items
            .iter()
            .zip(0..)
            .all(|(one, number)| *one == item(number));
        Reply::ok(&(self.items.len(), is_in_order))
    }

    fn handle_cast(&mut self, Append { begin, count }: Append, _cx: &mut Context<Self>) {
        self.items.extend((begin..begin + count).map(item));
    }
}
