//! How a process is told to end, and how it tells that it did.

use tokio::sync::watch;

use crate::StopReason;

/// What a process is asked for. The last one counts, and a stronger one is not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Request {
    /// To go on.
    None,
    /// To finish what it holds, its locked work included, and to end.
    Finish,
    /// To end with the transaction in flight.
    Stop,
    /// The same, since its server is deleted.
    Kill,
}

/// The process's end.
pub(crate) struct Control {
    requested: watch::Receiver<Request>,
    ended: watch::Sender<Option<StopReason>>,
}

/// The handles' end.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    request: watch::Sender<Request>,
    ended: watch::Receiver<Option<StopReason>>,
}

pub(crate) fn control() -> (Control, Remote) {
    let (request, requested) = watch::channel(Request::None);
    let (end, ended) = watch::channel(None);
    (
        Control {
            requested,
            ended: end,
        },
        Remote { request, ended },
    )
}

impl Control {
    pub(crate) fn requested(&self) -> Request {
        *self.requested.borrow()
    }

    /// Resolves when more is requested than `so_far`; never, if no handle is left to ask.
    pub(crate) async fn more_requested(&mut self, so_far: Request) {
        let more = self.requested.wait_for(|request| *request > so_far);
        if more.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn ended(self, reason: StopReason) {
        self.ended.send_replace(Some(reason));
    }
}

impl Remote {
    pub(crate) fn request(&self, request: Request) {
        self.request.send_if_modified(|requested| {
            let is_more = request > *requested;
            *requested = (*requested).max(request);
            is_more
        });
    }

    /// Waits until the process has ended, and says why.
    pub(crate) async fn ended(&self) -> StopReason {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().expect("it was waited for"),
            Err(_) => StopReason::Failed("its task was ended from outside".to_owned()),
        }
    }
}
