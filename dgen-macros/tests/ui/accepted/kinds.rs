//! Locked work, infos, deferred replies and options, in public types, under the strictest lints
//! and without a prelude; and what the macro makes of them, running.
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::pedantic
)]

pub mod shop {
    //! Servers in a module of their own, so that visibility counts.
    #![no_implicit_prelude]

    use ::core::clone::Clone;
    use ::core::convert::From;
    use ::core::default::Default;
    use ::core::result::Result::{self, Err, Ok};
    use ::core::time::Duration;
    use ::core::{marker::Send, marker::Sync, option::Option};
    use ::dgen_macros::dgen_server;
    use ::dgen_server::{Context, Deferred, Locked, ReplyTo};
    use ::serde::{Deserialize, Serialize, de::DeserializeOwned};
    use ::std::{string::String, vec::Vec};

    /// Takes money, and waits for parcels.
    #[derive(Clone, Default, Serialize, Deserialize)]
    pub struct Shop {
        cents: u64,
        seen: Vec<String>,
        waiting: Option<ReplyTo<String, Closed>>,
        knocking: Option<ReplyTo<u64>>,
    }

    /// The card was refused.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub struct Refused {
        /// By how much.
        pub over: u64,
    }

    impl ::core::fmt::Display for Refused {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.write_str("refused")
        }
    }

    /// Nothing comes any more.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub struct Closed;

    impl ::core::fmt::Display for Closed {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.write_str("closed")
        }
    }

    /// What serde has never heard of.
    #[derive(Clone)]
    pub struct Tick(pub &'static str);

    #[dgen_server]
    impl Shop {
        const PATIENCE: Duration = Duration::from_secs(30);

        /// Charges a card, far away.
        #[call(locked, timeout = Self::PATIENCE, rename = "pay", alias = "take")]
        pub async fn charge(
            &mut self,
            cx: &mut Locked<Self>,
            cents: u64,
        ) -> Result<u64, Refused> {
            let fence = cx.fence();
            ::core::future::ready(()).await;
            self.cents += cents;
            if cents > 1_000 {
                return Err(Refused {
                    over: cents - 1_000,
                });
            }
            Ok(if fence > 0 { self.cents } else { 0 })
        }

        /// The context stands where it likes, or nowhere; whatever the arguments are called.
        #[call(locked)]
        pub async fn sum(
            &self,
            work: u64,
            context: &mut ::dgen_server::Locked<Self>,
            cx: u64,
            sendable: u64,
        ) -> u64 {
            let _ = context.id();
            ::core::future::ready(work + cx + sendable).await
        }

        /// Without a context.
        #[cast(locked, timeout = Duration::from_millis(500))]
        pub async fn r#yield(&mut self, r#type: String) {
            ::core::future::ready(()).await;
            self.seen.push(r#type);
        }

        /// Locked work that only reads.
        #[cast(locked)]
        pub async fn audit(&self) {
            ::core::future::ready(()).await;
        }

        /// Not everywhere.
        #[call(locked)]
        #[cfg(any())]
        pub async fn absent(&self, what: DoesNotExist) -> DoesNotExist {}

        /// The next parcel.
        #[call]
        pub fn parcel(&mut self, cx: &mut Context<Self>) -> Deferred<String, Closed> {
            let (to, deferred) = cx.defer();
            self.waiting = Option::Some(to);
            deferred
        }

        /// When somebody knocks.
        #[call(timeout = Duration::from_secs(60))]
        pub fn knock(&mut self, cx: &mut Context<Self>) -> ::dgen_server::Deferred<u64> {
            let (to, deferred) = cx.defer();
            self.knocking = Option::Some(to);
            deferred
        }

        /// Here it is.
        #[cast(alias = "arrive")]
        #[serde(alias = "arrives")]
        pub fn arrived(&mut self, what: String, cx: &mut Context<Self>) {
            if let Option::Some(to) = self.waiting.take() {
                cx.reply(to, &what);
            }
        }

        /// No more parcels.
        #[cast]
        pub fn close(&mut self, cx: &mut Context<Self>) {
            if let Option::Some(to) = self.waiting.take() {
                cx.reply_err(to, &Closed);
            }
        }

        /// A tick of what is no part of the store.
        #[info]
        pub fn tick(&mut self, t: Tick, cx: &mut Context<Self>) {
            self.seen.push(String::from(t.0));
            if let Option::Some(to) = self.knocking.take() {
                cx.reply(to, &1);
            }
        }

        /// Keywords are names too.
        #[info]
        #[deprecated]
        pub fn r#match(&mut self, info: u8, r#type: u8) {
            let _ = (info, r#type);
        }

        /// On another system.
        #[info]
        #[cfg(any())]
        pub fn absent_too(&mut self, what: DoesNotExist) {}

        /// What was seen.
        #[call]
        pub fn seen(&self) -> Vec<String> {
            self.seen.clone()
        }

        /// How many wait.
        #[call]
        pub fn waiting(&self) -> u8 {
            u8::from(self.waiting.is_some()) + u8::from(self.knocking.is_some())
        }

        /// Sends to another shop.
        #[cast]
        pub fn forward(&mut self, cx: &mut Context<Self>) {
            let other = ShopHandle::client(cx.tenant(), "other");
            cx.send(other.close());
            cx.send(other.batch().close().audit());
            cx.send_after(Duration::from_secs(1), other.batch().close());
        }
    }

    /// Every message locks.
    #[derive(Clone, Default, Serialize, Deserialize)]
    pub struct Vault;

    #[dgen_server]
    impl Vault {
        /// Opens.
        #[call(locked)]
        pub async fn open(&mut self) {}

        /// Shuts.
        #[cast(locked)]
        pub async fn shut(&mut self) {}
    }

    /// A stack of anything.
    #[derive(Clone, Default, Serialize, Deserialize)]
    #[serde(bound = "")]
    pub struct Pile<T: Clone + Default + Serialize + DeserializeOwned, const DEPTH: usize> {
        items: Vec<T>,
    }

    #[dgen_server]
    impl<T, const DEPTH: usize> Pile<T, DEPTH>
    where
        T: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        /// Puts `item` on top, if there is room.
        #[info]
        pub fn push(&mut self, item: T) {
            if self.items.len() < DEPTH {
                self.items.push(item);
            }
        }

        /// Takes one off.
        #[call(locked)]
        pub async fn pop(&mut self) -> Option<T> {
            ::core::future::ready(self.items.pop()).await
        }

        /// Drops what is there.
        #[cast]
        pub fn clear(&mut self) {
            self.items.clear();
        }

        /// Swaps, later.
        #[call]
        pub fn swap(&mut self, item: T, cx: &mut Context<Self>) -> Deferred<T> {
            let (to, deferred) = cx.defer();
            cx.reply(to, &item);
            deferred
        }
    }
}

use std::time::Duration;

use dgen_server::{CallError, Cast, Tenant};
use shop::{Closed, PileHandle, Refused, Shop, ShopHandle, Tick, VaultHandle};

/// SPEC M2, S5, S6, S7
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tenant = dgen_server::in_memory()?;
    let shop = ShopHandle::start(&tenant, "s", ()).await?;

    assert_eq!(shop.charge(500).await?, 500);
    assert!(matches!(
        shop.charge(1_200).timeout(Duration::from_secs(9)).await,
        Err(CallError::Handler(Refused { over: 200 })),
    ));
    assert_eq!(shop.sum(1, 2, 3).await?, 6);
    shop.r#yield("yielded".to_owned()).await?;
    shop.audit().await?;

    let options = dgen_server::StartOptions::default();
    let client = ShopHandle::client_with(&tenant, "s", options);
    let (parcel, arrived) = tokio::join!(async { shop.parcel().await }, async {
        while client.waiting().await? == 0 {}
        client.arrived("tea".to_owned()).await?;
        Ok::<(), Box<dyn std::error::Error>>(())
    });
    arrived?;
    assert_eq!(parcel?, "tea");
    let (parcel, closed) = tokio::join!(async { shop.parcel().await }, async {
        while client.waiting().await? == 0 {}
        client.batch().close().await?;
        Ok::<(), Box<dyn std::error::Error>>(())
    });
    closed?;
    assert!(matches!(parcel, Err(CallError::Handler(Closed))));
    let (knock, tick) = tokio::join!(async { shop.knock().await }, async {
        while shop.waiting().await? == 0 {}
        shop.tick(Tick("tock"))?;
        Ok::<(), Box<dyn std::error::Error>>(())
    });
    tick?;
    assert_eq!(knock?, 1);
    assert_eq!(client.seen().await?, ["yielded", "tock"]);

    let all: Cast<'_, Shop> = shop.batch().audit().close().cast();
    all.id("once").await?;
    shop.batch().audit().await?;

    VaultHandle::start(&tenant, "v", ()).await?.open().await?;

    let pile = PileHandle::<u8, 1>::start(&tenant, "p", ()).await?;
    pile.push(1)?;
    pile.push(2)?;
    // An info message is not waited for.
    let popped = loop {
        if let Some(popped) = pile.pop().await? {
            break popped;
        }
    };
    assert!(popped == 1 || popped == 2);
    assert_eq!(pile.swap(7).await?, 7);
    let cleared = Cast::from(pile.batch().clear());
    cleared.await?;

    // The name shows, the arguments stay out of logs.
    let tick = shop::ShopInfo::Tick { t: Tick("secret") };
    assert_eq!(format!("{:?}", tick.clone()), "Tick { .. }");
    Ok(())
}

/// A caller may hold what it got on another thread.
#[expect(dead_code, reason = "it is only to compile")]
fn locked_work_and_infos_are_send(shop: ShopHandle, tenant: Tenant) {
    fn assert_send<T: Send>(_: T) {}
    assert_send(async move {
        let _ = shop.charge(1).await;
        let _ = shop.parcel().await;
        let _ = shop.tick(Tick("tock"));
        let _ = VaultHandle::client(&tenant, "v").batch().shut().cast().await;
    });
}
