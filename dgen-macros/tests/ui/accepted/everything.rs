//! Every form the macro takes, under the strictest lints and without a prelude, and what it makes
//! of them, running.
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::pedantic
)]

mod account {
    //! Servers in a module of their own, so that visibility counts.
    #![no_implicit_prelude]

    use ::core::clone::Clone;
    use ::core::default::Default;
    use ::core::result::Result::{self, Err, Ok};
    use ::core::{marker::Send, marker::Sync, option::Option};
    use ::dgen_macros::dgen_server;
    use ::serde::{Deserialize, Serialize, de::DeserializeOwned};
    use ::std::{string::String, vec::Vec};

    /// The only currency there is.
    #[derive(Clone, Serialize, Deserialize)]
    pub(crate) struct Account {
        owner: String,
        cents: u64,
        seen: Vec<String>,
    }

    /// Not enough money.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Overdrawn {
        pub(crate) short_by: u64,
    }

    /// No name.
    #[derive(Debug, PartialEq)]
    pub(crate) struct Nameless;

    impl ::core::fmt::Display for Nameless {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.write_str("an account needs a name")
        }
    }

    impl ::core::error::Error for Nameless {}

    #[dgen_server(name = "bank-account")]
    impl Account {
        const WIDTH: usize = 2;

        #[init]
        fn open(owner: String, cents: u64) -> Result<Self, Nameless> {
            if owner.is_empty() {
                return Err(Nameless);
            }
            Ok(Self {
                owner,
                cents,
                seen: Vec::new(),
            })
        }

        /// What there is.
        ///
        /// See [`Self::withdraw`].
        #[call]
        pub(crate) fn balance(&self) -> u64 {
            self.cents
        }

        /// Takes `cents`, if they are there.
        #[call]
        pub(crate) fn withdraw(
            &mut self,
            mut cents: u64,
            #[serde(default)] fee: u64,
        ) -> Result<u64, Overdrawn> {
            cents += fee;
            self.cents = match self.cents.checked_sub(cents) {
                Option::Some(left) => left,
                Option::None => {
                    let short_by = cents - self.cents;
                    // An error undoes this.
                    self.cents = 0;
                    return Err(Overdrawn { short_by });
                }
            };
            Ok(self.cents)
        }

        /// Adds up, wherever the context stands, and whatever the arguments are called.
        #[call]
        pub(crate) fn sum(
            &self,
            call: u64,
            context: &mut ::dgen_server::Context<Self>,
            cx: u64,
            rest: [u64; Self::WIDTH],
        ) -> u64 {
            let _ = context;
            call + cx + rest[0] + rest[1]
        }

        /// The richer of two.
        #[call]
        pub(crate) fn richer(&self, other: Option<Self>) -> Self {
            match other {
                Option::Some(other) if other.cents > self.cents => other,
                _ => self.clone(),
            }
        }

        /// Nothing to say.
        #[call]
        pub(crate) fn touch(&mut self) {
            self.seen.clear();
        }

        /// Whose it is.
        pub(crate) fn owner(&self) -> &str {
            &self.owner
        }

        /// Puts `cents` in.
        #[cast]
        pub(crate) fn deposit(&mut self, cents: u64) {
            self.cents += cents;
        }

        /// Keywords are names too.
        #[cast]
        #[deprecated]
        #[serde(alias = "matching")]
        pub(crate) fn r#match(&mut self, r#type: String, cx: &mut ::dgen_server::Context<Self>) {
            let _ = cx;
            self.seen.push(r#type);
        }

        /// On another system.
        #[cast]
        #[cfg(any())]
        fn absent(&mut self, what: DoesNotExist) {}

        /// On this one.
        #[call]
        #[cfg(all())]
        pub(crate) fn seen(&self) -> Vec<String> {
            self.seen.clone()
        }

        /// On another system.
        #[call]
        #[cfg(any())]
        pub(crate) fn seen(&self) -> DoesNotExist {}
    }

    /// A stack of anything.
    #[derive(Clone, Default, Serialize, Deserialize)]
    #[serde(bound = "")]
    pub(crate) struct Pile<T: Clone + Default + Serialize + DeserializeOwned, const DEPTH: usize> {
        items: Vec<T>,
    }

    #[dgen_server]
    impl<T, const DEPTH: usize> Pile<T, DEPTH>
    where
        T: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        /// Puts `item` on top, if there is room.
        #[cast]
        pub(crate) fn push(&mut self, item: T) {
            if self.items.len() < DEPTH {
                self.items.push(item);
            }
        }

        /// How high it is.
        #[call]
        pub(crate) fn height(&self) -> usize {
            self.items.len()
        }
    }

    /// With one argument, and not a handler.
    #[derive(Clone, Serialize, Deserialize)]
    pub(crate) struct Idle(u8);

    #[dgen_server]
    impl Idle {
        #[init]
        pub(crate) fn new(depth: u8) -> Idle {
            Self(depth)
        }
    }
}

use account::{AccountHandle, IdleHandle, Overdrawn, PileHandle};

/// SPEC M1, M2, M4
#[tokio::main]
async fn main() {
    let tenant = dgen_server::in_memory().expect("a store in memory");
    let ada = || String::from("ada");

    let nameless = AccountHandle::start(&tenant, "nobody", (String::new(), 0)).await;
    assert!(matches!(
        nameless,
        Err(dgen_server::StartError::Init(account::Nameless))
    ));

    let account = AccountHandle::start(&tenant, "ada", (ada(), 100))
        .await
        .expect("a start");
    account.deposit(20).await.expect("a cast");
    #[expect(deprecated, reason = "the handler is, so the client's methods are")]
    account
        .batch()
        .deposit(30)
        .r#match(ada())
        .await
        .expect("a batch");
    assert_eq!(account.balance().await.expect("a call"), 150);
    assert_eq!(account.withdraw(40, 10).await.expect("a call"), 100);
    assert!(matches!(
        account
            .withdraw(500, 1)
            .timeout(std::time::Duration::from_secs(60))
            .await,
        Err(dgen_server::CallError::Handler(Overdrawn { short_by: 401 })),
    ));
    assert_eq!(account.balance().await.expect("a call"), 100);
    assert_eq!(account.sum(1, 2, [3, 4]).await.expect("a call"), 10);
    assert_eq!(account.seen().await.expect("a call"), [ada()]);
    account.touch().await.expect("a call");

    let client = AccountHandle::client(&tenant, "ada");
    let same = client.clone().richer(None).await.expect("a call");
    assert_eq!(same.owner(), "ada");

    let options = dgen_server::StartOptions::default();
    let pile = PileHandle::<u8, 2>::start_with(&tenant, "p", (), options)
        .await
        .expect("a start");
    pile.batch().push(1).push(2).push(3).await.expect("a batch");
    assert_eq!(pile.height().await.expect("a call"), 2);

    let idle = IdleHandle::start(&tenant, "i", 3).await.expect("a start");
    let idle: IdleHandle = From::from((*idle).clone());
    idle.stop().await;

    // The name shows, the arguments stay out of logs.
    assert_eq!(
        format!("{:?}", pile.batch().push(7)),
        "PileBatch([Push { .. }])",
    );
    let stored = <account::Account as dgen_server::Server>::NAME;
    assert_eq!(stored, "bank-account");
}
