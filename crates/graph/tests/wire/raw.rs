//! A server that sends the very bytes that a test says, and counts connections.

use std::sync::{Arc, Mutex};

use graph::{GraphReader, GraphWriter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{endpoint, secret, settings};

/// What is sent, and whether the connection is closed after it.
#[derive(Clone)]
pub(crate) struct Bytes {
    text: String,
    close: bool,
}

/// A whole answer; the connection stays open.
pub(crate) fn whole(status: &str, headers: &str, body: &str) -> Bytes {
    let length = body.len();
    Bytes {
        text: format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"),
        close: false,
    }
}

/// Any bytes; the connection is closed after them.
pub(crate) fn cut(text: &str) -> Bytes {
    Bytes {
        text: text.to_owned(),
        close: true,
    }
}

type Script = Box<dyn Fn(usize, &str) -> Bytes + Send + Sync>;

/// The server.
pub(crate) struct Raw {
    port: u16,
    /// The connection of each request below the version root.
    seen: Arc<Mutex<Vec<usize>>>,
}

impl Raw {
    /// Answers request n (from 1) below the version root as the script says.
    pub(crate) async fn start(script: impl Fn(usize) -> Bytes + Send + Sync + 'static) -> Self {
        Self::with_heads(move |number, _| script(number)).await
    }

    /// The same, where the script also wants the request's head, in small letters.
    pub(crate) async fn with_heads(
        script: impl Fn(usize, &str) -> Bytes + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
        let script: Arc<Script> = Arc::new(Box::new(script));
        let record = Arc::clone(&seen);
        tokio::spawn(async move {
            for connection in 1.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (record, script) = (Arc::clone(&record), Arc::clone(&script));
                tokio::spawn(async move { serve(stream, connection, &record, &script).await });
            }
        });
        Self { port, seen }
    }

    pub(crate) fn reader(&self) -> GraphReader {
        GraphReader::new(&endpoint(self.port), secret(), settings(Arc::default()))
    }

    pub(crate) fn writer(&self) -> GraphWriter {
        GraphWriter::new(&endpoint(self.port), secret(), settings(Arc::default()))
    }

    /// The connections of the requests so far, numbered as they were opened.
    pub(crate) fn connections(&self) -> Vec<usize> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    record: &Mutex<Vec<usize>>,
    script: &Script,
) {
    let mut buffer = Vec::new();
    while let Some(head) = request(&mut stream, &mut buffer).await {
        let answer = if head.contains(" /login/") {
            let token = r#"{"expires_in":3599,"access_token":"token"}"#;
            whole("200 OK", "", token)
        } else {
            let number = {
                let mut seen = record.lock().unwrap();
                seen.push(connection);
                seen.len()
            };
            script(number, &head)
        };
        stream.write_all(answer.text.as_bytes()).await.unwrap();
        if answer.close {
            return;
        }
    }
}

/// Reads one request, with the body that it announces, and returns its head.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let head = text[..end].to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if buffer.len() >= end + 4 + length {
                buffer.drain(..end + 4 + length);
                return Some(head);
            }
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
