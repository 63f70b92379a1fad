//! How a process is told to stop, and how it tells that it did.

use tokio::sync::watch;

use crate::StopReason;

/// The process's end.
pub(crate) struct Control {
    stop: watch::Receiver<bool>,
    ended: watch::Sender<Option<StopReason>>,
}

/// The handles' end.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    stop: watch::Sender<bool>,
    ended: watch::Receiver<Option<StopReason>>,
}

pub(crate) fn control() -> (Control, Remote) {
    let (request, stop) = watch::channel(false);
    let (end, ended) = watch::channel(None);
    (
        Control { stop, ended: end },
        Remote {
            stop: request,
            ended,
        },
    )
}

impl Control {
    pub(crate) fn is_stop_requested(&self) -> bool {
        *self.stop.borrow()
    }

    /// Resolves when somebody asks for the stop; never, if no handle is left to ask.
    pub(crate) async fn stop_requested(&mut self) {
        if self.stop.wait_for(|requested| *requested).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn ended(self, reason: StopReason) {
        self.ended.send_replace(Some(reason));
    }
}

impl Remote {
    pub(crate) fn request_stop(&self) {
        self.stop.send_replace(true);
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
