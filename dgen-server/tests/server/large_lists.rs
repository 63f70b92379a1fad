//! A `List` in a state, beside a vector that is changed alike: what counts of the one counts of the
//! other.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex},
};

use dgen_server::{
    CallError, Context, Failure, Handle, List, Locked, LockedWork, Never, Reply, Server,
    StartOptions, Tenant,
};
use dgen_testkit::Random;
use futures_util::future::{join, join_all};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::support::{elsewhere::elsewhere, *};

/// More than one chunk of a list.
const ORDERS: usize = 400;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shop {
    number: u64,
    list: List<Order>,
    vec: Vec<Order>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: String,
    count: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Edit {
    Count(usize),
    Insert(usize, usize),
    Remove(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum End {
    Ok,
    Err,
    Panic,
    /// Promises an answer that it leaves to nobody.
    Later,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum ShopCall {
    Edit(Vec<Edit>, End),
    /// As locked work: begins, waits, and then edits.
    Work(Vec<Edit>),
    Get,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("as it should")]
struct AsItShould;

/// What locked work and the test tell each other.
struct Gate {
    begun: Semaphore,
    open: Semaphore,
}

impl Gate {
    fn of(number: u64) -> Arc<Self> {
        static GATES: LazyLock<Mutex<BTreeMap<u64, Arc<Gate>>>> = LazyLock::new(Mutex::default);
        let gate = || {
            Arc::new(Self {
                begun: Semaphore::new(0),
                open: Semaphore::new(0),
            })
        };
        let mut gates = GATES.lock().unwrap();
        Arc::clone(gates.entry(number).or_insert_with(gate))
    }

    fn next_number() -> u64 {
        static LAST: Mutex<u64> = Mutex::new(0);
        let mut last = LAST.lock().unwrap();
        *last += 1;
        *last
    }
}

fn order(number: usize) -> Order {
    Order {
        id: format!("order {number}"),
        count: 0,
    }
}

fn edit(orders: &mut Vec<Order>, edit: Edit) {
    match edit {
        Edit::Count(at) => orders[at].count += 1,
        Edit::Insert(at, number) => orders.insert(at, order(number)),
        Edit::Remove(at) => drop(orders.remove(at)),
    }
}

impl Shop {
    fn edit(&mut self, edits: &[Edit]) {
        for edit in edits {
            match *edit {
                Edit::Count(at) => self.list[at].count += 1,
                Edit::Insert(at, number) => self.list.insert(at, order(number)),
                Edit::Remove(at) => drop(self.list.remove(at)),
            }
            self::edit(&mut self.vec, *edit);
        }
    }
}

impl Server for Shop {
    const NAME: &'static str = "Shop";
    type Args = u64;
    type InitError = Never;
    type Call = ShopCall;
    type Cast = Vec<Edit>;
    type Info = Never;

    fn init(number: u64) -> Result<Self, Never> {
        Ok(Self {
            number,
            list: (0..ORDERS).map(order).collect(),
            vec: (0..ORDERS).map(order).collect(),
        })
    }

    fn handle_call(&mut self, call: ShopCall, cx: &mut Context<Self>) -> Reply {
        match call {
            ShopCall::Edit(edits, end) => {
                self.edit(&edits);
                match end {
                    End::Ok => Reply::ok(&()),
                    End::Err => Reply::err(&AsItShould),
                    End::Panic => panic!("as it should"),
                    End::Later => Reply::later(),
                }
            }
            ShopCall::Work(_) => {
                cx.lock();
                Reply::later()
            }
            ShopCall::Get => Reply::ok(&*self),
        }
    }

    fn handle_cast(&mut self, edits: Vec<Edit>, _cx: &mut Context<Self>) {
        self.edit(&edits);
    }

    async fn handle_locked(&mut self, work: LockedWork<Self>, _cx: &mut Locked<Self>) -> Reply {
        let LockedWork::Call(ShopCall::Work(edits)) = work else {
            return Reply::err(&AsItShould);
        };
        let gate = Gate::of(self.number);
        gate.begun.add_permits(1);
        gate.open.acquire().await.unwrap().forget();
        self.edit(&edits);
        Reply::ok(&())
    }
}

async fn start(tenant: &Tenant) -> Handle<Shop> {
    Handle::start(tenant, "shop", Gate::next_number())
        .await
        .unwrap()
}

async fn get(shop: &Handle<Shop>) -> Shop {
    shop.call::<Shop, Never>(ShopCall::Get).await.unwrap()
}

/// Both are `orders`: here, and for a process elsewhere that has nothing in memory.
async fn check(store: &Store, shop: &Handle<Shop>, orders: &[Order]) {
    let options = StartOptions::default().cache(false);
    let tenant = elsewhere(&store.tenant);
    let other = Handle::<Shop>::start_with(&tenant, "shop", 0, options);
    let other = other.await.unwrap();
    for state in [get(shop).await, get(&other).await] {
        assert!(state.vec == orders);
        assert!(state.list.to_vec() == orders);
    }
    other.stop().await;
}

fn some_edits(random: &mut Random, len: usize, next: &mut usize) -> Vec<Edit> {
    (0..1 + random.below(3))
        .map(|_| match random.below(4) {
            // No edit makes the list shorter than its length at first, but for a few items.
            0 => {
                *next += 1;
                Edit::Insert(random.below(len - 10), *next)
            }
            1 => Edit::Remove(random.below(len - 10)),
            _ => Edit::Count(random.below(len - 10)),
        })
        .collect()
}

on_each_store! {
    /// SPEC S2, S4: of messages of one batch, each counts as a whole or not at all, whatever those around it do.
    async fn messages_of_a_batch_count_one_by_one(store: Store) {
        let shop = start(&store.tenant).await;
        let mut orders: Vec<_> = (0..ORDERS).map(order).collect();
        let (mut random, mut next) = (Random::new(1), ORDERS);
        for _ in 0..10 {
            let mut calls = Vec::new();
            for _ in 0..1 + random.below(8) {
                let end = match random.below(3) {
                    0 => End::Err,
                    1 => End::Later,
                    _ => End::Ok,
                };
                let edits = some_edits(&mut random, orders.len(), &mut next);
                if end == End::Ok {
                    edits.iter().for_each(|one| edit(&mut orders, *one));
                }
                calls.push((edits, end));
            }
            let calls = calls.into_iter().map(async |(edits, end)| {
                let answer = shop.call::<(), AsItShould>(ShopCall::Edit(edits, end)).await;
                match end {
                    End::Ok => answer.unwrap(),
                    End::Err => assert!(matches!(answer, Err(CallError::Handler(AsItShould))), "{answer:?}"),
                    _ => assert!(answer.is_err()),
                }
            });
            join_all(calls).await;
            check(&store, &shop, &orders).await;
        }
    }

    /// SPEC S9: a handler that panics leaves nothing behind, be it the first of its transaction or not.
    async fn a_panic_leaves_nothing_behind(store: Store) {
        let shop = start(&store.tenant).await;
        let mut orders: Vec<_> = (0..ORDERS).map(order).collect();
        for at in [0, 130, 399] {
            let edits = vec![Edit::Count(at), Edit::Insert(at, ORDERS), Edit::Remove(200)];
            let call = shop.call::<(), Never>(ShopCall::Edit(edits, End::Panic)).priority();
            let failed = call.await.unwrap_err();
            assert!(matches!(failed, CallError::Failed(Failure::Panicked { .. })), "{failed:?}");
            check(&store, &shop, &orders).await;
            shop.call::<(), Never>(ShopCall::Edit(vec![Edit::Count(at)], End::Ok)).await.unwrap();
            orders[at].count += 1;
            check(&store, &shop, &orders).await;
        }
    }

    /// SPEC S7: what priority messages change in a list while the server is locked is kept beside what the locked
    /// work changes, as in a vector.
    async fn locked_work_merges_lists(store: Store) {
        let number = Gate::next_number();
        let gate = Gate::of(number);
        let shop: Handle<Shop> = Handle::start(&store.tenant, "shop", number).await.unwrap();
        let work = vec![Edit::Count(7), Edit::Insert(100, 1_000), Edit::Remove(300)];
        let work = shop.call::<(), Never>(ShopCall::Work(work));
        let meanwhile = async {
            gate.begun.acquire().await.unwrap().forget();
            let edits = vec![Edit::Count(8), Edit::Insert(200, 2_000), Edit::Remove(350)];
            let call = shop.call::<(), Never>(ShopCall::Edit(edits, End::Ok)).priority();
            call.await.unwrap();
            gate.open.add_permits(1);
        };
        let (worked, ()) = join(work.into_future(), meanwhile).await;
        worked.unwrap();
        let mut orders: Vec<_> = (0..ORDERS).map(order).collect();
        orders[7].count = 1;
        orders[8].count = 1;
        orders.retain(|order| order.id != "order 299" && order.id != "order 349");
        let place = |orders: &[Order], id: &str| orders.iter().position(|order| order.id == id).unwrap();
        orders.insert(place(&orders, "order 200"), order(2_000));
        orders.insert(place(&orders, "order 100"), order(1_000));
        check(&store, &shop, &orders).await;
    }
}
