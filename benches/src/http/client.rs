//! One connection that is kept, and one request again and again: as little as will do, to leave the
//! processors to the server.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Outcome, crowd::Caller};

/// More than either server's headers.
const HEADERS_MAX: usize = 16;
/// More than either server's response.
const RESPONSE_MAX_BYTES: usize = 1_024;

/// Increments one counter.
pub(super) struct Client {
    stream: TcpStream,
    request: Vec<u8>,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr, path: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request =
            format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1\r\n\r\n1");
        Ok(Self {
            stream,
            request: request.into_bytes(),
        })
    }

    /// Adds one; returns the new value.
    pub(super) async fn increment(&mut self) -> Outcome<u64> {
        self.stream.write_all(&self.request).await?;
        let mut response = [0; RESPONSE_MAX_BYTES];
        let mut len = 0;
        loop {
            let read = self.stream.read(&mut response[len..]).await?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            len += read;
            if let Some(value) = value_of(&response[..len])? {
                return Ok(value);
            }
        }
    }
}

impl Caller for Client {
    async fn once(&mut self) -> Outcome<u64> {
        self.increment().await?;
        Ok(1)
    }
}

/// The number in a response; none if it is not yet there as a whole.
fn value_of(bytes: &[u8]) -> Outcome<Option<u64>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_len) = response.parse(bytes)? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .ok_or("a response has no length")?;
    let body_len: usize = std::str::from_utf8(length.value)?.parse()?;
    let Some(body) = bytes.get(head_len..head_len + body_len) else {
        return Ok(None);
    };
    let body = std::str::from_utf8(body)?;
    match status {
        200 => Ok(Some(body.parse()?)),
        _ => Err(format!("status {status}: {body}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42";
        for len in 0..whole.len() {
            let value = value_of(&whole[..len]).expect("it may go on");
            assert_eq!(value, None, "{len}");
        }
        assert_eq!(value_of(whole).expect("it is right"), Some(42));
    }

    #[test]
    fn a_refusal_is_no_answer() {
        let refusal = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nlate";
        assert!(value_of(refusal).is_err());
    }
}
