//! A proxy in front of a server: it loses what passes, and cuts connections.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dgen_backend::env::Env;
use futures_util::{future::select, pin_mut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// A piece of what passes, as long as a commit of many bytes and longer than other requests.
pub(crate) const LARGE_BYTES: usize = 4_000;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Passes,
    /// What the server answers is lost.
    LosesAnswers,
    /// What the client asks for is lost, from the first piece on that has [`LARGE_BYTES`].
    LosesLargeRequests,
    IsCut,
}

/// A clone is the same proxy.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<watch::Sender<Fate>>>>,
    /// How many pieces were lost.
    lost: Arc<watch::Sender<u64>>,
}

/// Connections that something has been done to.
#[derive(Debug)]
pub(crate) struct Victims(Vec<watch::Sender<Fate>>);

impl Proxy {
    /// A proxy at a free port, for the server at `server`.
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let proxy = Self {
            address: listener.local_addr().expect("it is bound"),
            connections: Arc::default(),
            lost: Arc::default(),
        };
        let this = proxy.clone();
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else {
                    // It is not up yet: the client tries again.
                    continue;
                };
                this.connect(client, server);
            }
        };
        Env::system().spawn(accept).expect("there is a runtime");
        proxy
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives all connections that there are this fate, and not those that are made later.
    pub(crate) fn doom(&self, fate: Fate) -> Victims {
        let victims = Victims(std::mem::take(&mut *self.lock()));
        victims.set(fate);
        victims
    }

    /// Waits until something more is lost.
    pub(crate) async fn loss(&self) {
        let mut lost = self.lost.subscribe();
        lost.changed().await.expect("the proxy is there");
    }

    fn connect(&self, client: TcpStream, server: TcpStream) {
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (sender, fate) = watch::channel(Fate::Passes);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let requests = self.clone().pump(
            from_client,
            to_server,
            Fate::LosesLargeRequests,
            fate.clone(),
        );
        let answers = self
            .clone()
            .pump(from_server, to_client, Fate::LosesAnswers, fate);
        self.lock().push(sender.clone());
        let both = async move {
            // Whichever ends, both are closed.
            {
                pin_mut!(requests, answers);
                select(requests, answers).await;
            }
            drop(sender);
        };
        Env::system().spawn(both).expect("there is a runtime");
    }

    /// Hands on what comes, until an end is closed or the connection is cut.
    async fn pump(
        self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        loss: Fate,
        fate: watch::Receiver<Fate>,
    ) {
        let mut cut = fate.clone();
        let mut buffer = vec![0; 64 * 1024];
        let pumped = async {
            let mut is_losing = false;
            while let Ok(length @ 1..) = from.read(&mut buffer).await {
                let is_due = loss == Fate::LosesAnswers || length >= LARGE_BYTES;
                is_losing |= is_due && *fate.borrow() == loss;
                if is_losing {
                    self.lost.send_modify(|lost| *lost += 1);
                    continue;
                }
                if to.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        };
        let cut = cut.wait_for(|fate| *fate == Fate::IsCut);
        pin_mut!(pumped, cut);
        select(pumped, cut).await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<watch::Sender<Fate>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Victims {
    pub(crate) fn cut(self) {
        self.set(Fate::IsCut);
    }

    fn set(&self, fate: Fate) {
        for connection in &self.0 {
            connection.send_replace(fate);
        }
    }
}
