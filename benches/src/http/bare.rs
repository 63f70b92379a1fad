//! The least that a durable counter over HTTP can be: hyper, and one thread that appends what waits to a
//! file, flushes once, and answers.

use std::{
    collections::HashMap,
    fmt::Display,
    net::Ipv4Addr,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
};

use dgen_backend::env::Env;
use dgen_local::disk::DirectoryDisk;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpSocket, sync::oneshot};

use crate::{Outcome, append::Appended, http::process::LISTENING};

/// One increment that waits.
struct Increment {
    path: String,
    by: i64,
    /// Takes the new value, once it is flushed.
    answer: oneshot::Sender<i64>,
}

/// Serves until it is killed.
pub(super) async fn run(folder: &Path) -> Outcome {
    let env = Env::system();
    let file = Appended::create(&DirectoryDisk::create(folder)?)?;
    let (sender, receiver) = channel();
    env.spawn_thread("log", move || {
        if let Err(error) = append(file, &receiver) {
            eprintln!("bare server: {error}");
            std::process::exit(1);
        }
    })?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(1_024)?;
    println!("{LISTENING}{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let sender = sender.clone();
        env.spawn(async move {
            let service = service_fn(|request| respond(request, sender.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that goes is no concern of ours.
            let _ = connection.await;
        })?;
    }
}

async fn respond(
    request: Request<Incoming>,
    sender: Sender<Increment>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let by = std::str::from_utf8(&body).ok();
    let Some(by) = by.and_then(|text| text.trim().parse().ok()) else {
        return Ok(response(StatusCode::BAD_REQUEST, "no number"));
    };
    let (answer, answered) = oneshot::channel();
    let sent = sender.send(Increment { path, by, answer });
    match (sent, answered.await) {
        (Ok(()), Ok(value)) => Ok(response(StatusCode::OK, value)),
        _ => Ok(response(StatusCode::INTERNAL_SERVER_ERROR, "it ends")),
    }
}

fn response(status: StatusCode, text: impl Display) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text.to_string()));
    *response.status_mut() = status;
    response
}

/// Appends group after group: what came while the last was flushed.
fn append(mut file: Appended, receiver: &Receiver<Increment>) -> Outcome {
    let mut counters: HashMap<String, i64> = HashMap::new();
    while let Ok(first) = receiver.recv() {
        let mut bytes = Vec::new();
        let mut answers = Vec::new();
        for increment in std::iter::once(first).chain(receiver.try_iter()) {
            bytes.extend_from_slice(increment.path.as_bytes());
            bytes.extend_from_slice(&increment.by.to_le_bytes());
            let value = counters.entry(increment.path).or_default();
            *value += increment.by;
            answers.push((increment.answer, *value));
        }
        file.append(&bytes)?;
        for (answer, value) in answers {
            // The client may have gone.
            let _ = answer.send(value);
        }
    }
    Ok(())
}
