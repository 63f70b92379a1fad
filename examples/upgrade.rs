//! A new version of a server goes on where the old one was.
//!
//! ```sh
//! cargo run --example upgrade -- v1   # fills a cart, and leaves messages in its queue
//! cargo run --example upgrade -- v2   # reads both: the state, and the messages
//! cargo run --example upgrade -- v1   # the old version can't read the new state, and leaves it alone
//! ```
//!
//! In a program of your own `v1` and `v2` are one module, before and after. What is stored has names and
//! no numbers: what is renamed says its old name, and what is new says what it is where it is missing.
//! The store is in `upgrade-data`; `--data` names another folder.

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use dgen_examples::store;
use dgen_server::Tenant;

/// The shop's first version.
mod v1 {
    use dgen_macros::dgen_server;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Default, Serialize, Deserialize)]
    pub struct Cart {
        items: Vec<String>,
    }

    #[dgen_server]
    impl Cart {
        /// Puts an item in.
        #[cast]
        pub fn add(&mut self, item: String) {
            self.items.push(item);
        }

        /// Returns what is in it.
        #[call]
        pub fn items(&self) -> Vec<String> {
            self.items.clone()
        }
    }
}

/// Its second: the type, a field, a handler and an argument have other names, and there are new ones.
mod v2 {
    use dgen_macros::dgen_server;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Default, Serialize, Deserialize)]
    pub struct Basket {
        #[serde(alias = "items")]
        goods: Vec<String>,
        #[serde(default)]
        coupon: Option<String>,
    }

    #[dgen_server(name = "Cart")]
    impl Basket {
        /// Puts so many pieces in.
        #[cast(alias = "add")]
        pub fn put(
            &mut self,
            #[serde(alias = "item")] good: String,
            #[serde(default = "one")] pieces: usize,
        ) {
            self.goods.extend(std::iter::repeat_n(good, pieces));
        }

        /// Takes a coupon, in place of an earlier one.
        #[cast]
        pub fn redeem(&mut self, coupon: String) {
            self.coupon = Some(coupon);
        }

        /// Returns what is in it, and the coupon.
        #[call]
        pub fn content(&self) -> (Vec<String>, Option<String>) {
            (self.goods.clone(), self.coupon.clone())
        }
    }

    fn one() -> usize {
        1
    }
}

/// A new version of a server goes on where the old one was.
#[derive(Parser)]
struct Options {
    /// Which version of the program this is.
    version: Version,
    /// The folder that holds the store.
    #[arg(long, default_value = "upgrade-data")]
    data: PathBuf,
}

#[derive(Clone, ValueEnum)]
enum Version {
    V1,
    V2,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("upgrade: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let tenant = store::open(&options.data).await?;
    match options.version {
        Version::V1 => run_v1(&tenant).await,
        Version::V2 => run_v2(&tenant).await,
    }
}

async fn run_v1(tenant: &Tenant) -> Result<(), Box<dyn Error>> {
    let cart = v1::CartHandle::start(tenant, "ada", ()).await?;
    cart.add("tea".into()).await?;
    println!("v1: {:?} in the cart", cart.items().await?);
    cart.stop().await;
    // Nobody consumes any more, so these wait.
    cart.batch().add("milk".into()).add("sugar".into()).await?;
    println!("v1: {} messages in the queue", cart.queue_len().await?);
    Ok(())
}

async fn run_v2(tenant: &Tenant) -> Result<(), Box<dyn Error>> {
    let client = v2::BasketHandle::client(tenant, "ada");
    println!("v2: {} messages in the queue", client.queue_len().await?);
    let basket = v2::BasketHandle::start(tenant, "ada", ()).await?;
    println!("v2: {:?} in the basket", basket.content().await?.0);
    basket.put("cup".into(), 2).await?;
    basket.redeem("TEATIME".into()).await?;
    let (goods, coupon) = basket.content().await?;
    println!("v2: {goods:?} in the basket, coupon {coupon:?}");
    Ok(())
}
