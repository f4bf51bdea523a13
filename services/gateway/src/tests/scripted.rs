//! Services behind the gateway that answer what a test says, and tell what they were asked.

use super::support::{framed, listener};
use axum::Router;
use axum::extract::{Request, State};
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use prost::Message;
use runtime::Server;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Channel;

type Answer = Arc<dyn Fn(&[u8]) -> Result<Vec<Vec<u8>>, Status> + Send + Sync>;

/// What is answered, by method; all other methods are not implemented.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Inner>);

#[derive(Default)]
struct Inner {
    answers: Mutex<HashMap<&'static str, Answer>>,
    asked: Mutex<Vec<(String, Bytes)>>,
}

impl Script {
    /// Answers a method, such as `DiffService/GetReport`; of a stream all messages.
    pub(super) fn on<Q, A>(
        &self,
        method: &'static str,
        answer: impl Fn(Q) -> Result<Vec<A>, Status> + Send + Sync + 'static,
    ) where
        Q: Message + Default,
        A: Message,
    {
        let answer: Answer = Arc::new(move |bytes| {
            let messages = answer(Q::decode(bytes).expect("the gateway passes on what it got"))?;
            Ok(messages.iter().map(Message::encode_to_vec).collect())
        });
        let mut answers = self.0.answers.lock().expect("unpoisoned");
        answers.insert(method, answer);
    }

    /// Every request that a method was called with, in order.
    pub(super) fn asked<Q: Message + Default>(&self, method: &str) -> Vec<Q> {
        let asked = self.0.asked.lock().expect("unpoisoned");
        asked
            .iter()
            .filter(|(path, _)| path.ends_with(method))
            .map(|(_, bytes)| Q::decode(bytes.as_ref()).expect("a message"))
            .collect()
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> usize {
        self.0.asked.lock().expect("unpoisoned").len()
    }

    /// Serves until the token is cancelled.
    pub(super) async fn serve(&self, stop: &CancellationToken) -> Channel {
        let (listener, address) = listener().await;
        let router = Router::new().fallback(respond).with_state(self.clone());
        let server = Server::new(Routes::from(router), &[]).grace(Duration::ZERO);
        tokio::spawn(server.run(listener, stop.clone()));
        runtime::connect(&format!("http://{address}"), None).expect("an address")
    }

    fn answer(&self, path: &str, message: Bytes) -> Result<Vec<Vec<u8>>, Status> {
        let method = path.trim_start_matches("/rewind.v1.");
        let answers = self.0.answers.lock().expect("unpoisoned");
        let answer = answers.get(method).cloned();
        drop(answers);
        let mut asked = self.0.asked.lock().expect("unpoisoned");
        asked.push((path.to_owned(), message.clone()));
        drop(asked);
        let unknown = || Status::unimplemented(format!("the test says nothing of {method}"));
        answer.ok_or_else(unknown)?(&message)
    }
}

async fn respond(State(script): State<Script>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.expect("whole");
    let message = body.to_bytes().slice(5..);
    let messages = match script.answer(&path, message) {
        Ok(messages) => messages,
        Err(status) => return status.into_http(),
    };
    let mut bytes = BytesMut::new();
    for message in &messages {
        bytes.extend_from_slice(&framed(message));
    }
    let end = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let end = std::future::ready(Some(Ok::<_, Infallible>(end)));
    let body = Body::new(Full::new(bytes.freeze()).with_trailers(end));
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}
