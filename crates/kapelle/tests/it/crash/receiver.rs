//! The webhook to which processes tell their end: the witness outside the server.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::random::Random;

/// Of a hundred deliveries, so many are refused, to be tried again.
const REFUSED_PERCENT: u64 = 3;

/// A CloudEvent that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) subject: String,
    pub(crate) source: String,
    pub(crate) body: String,
}

/// What arrived, by the CloudEvents' ids.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) by_id: BTreeMap<String, Received>,
    pub(crate) deliveries: u64,
    pub(crate) refused: u64,
    /// Sentences about events that came again as others.
    pub(crate) changed: Vec<String>,
}

impl Inbox {
    /// Distinct events of a subject.
    pub(crate) fn of(&self) -> BTreeMap<&str, Vec<&Received>> {
        let mut by_subject: BTreeMap<&str, Vec<&Received>> = BTreeMap::new();
        for received in self.by_id.values() {
            by_subject
                .entry(&received.subject)
                .or_default()
                .push(received);
        }
        by_subject
    }

    fn take(&mut self, id: String, received: Received) {
        self.deliveries += 1;
        match self.by_id.get(&id) {
            Some(first) if *first != received => {
                self.changed.push(format!(
                    "CloudEvent {id} came as {first:?} and as {received:?}"
                ));
            }
            Some(_) => {}
            None => _ = self.by_id.insert(id, received),
        }
    }
}

/// Serves until the test ends; the URL and what arrives there.
pub(crate) async fn open(seed: u64) -> (String, Arc<Mutex<Inbox>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ended", listener.local_addr().unwrap());
    let inbox = Arc::new(Mutex::new(Inbox::default()));
    let random = Arc::new(Mutex::new(Random::new(seed)));
    let shared = Arc::clone(&inbox);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (inbox, random) = (Arc::clone(&shared), Arc::clone(&random));
            let service =
                service_fn(move |request| answer(request, Arc::clone(&inbox), Arc::clone(&random)));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // A connection that breaks is the sender's death.
            tokio::spawn(async move { connection.await.ok() });
        }
    });
    (url, inbox)
}

async fn answer(
    request: Request<Incoming>,
    inbox: Arc<Mutex<Inbox>>,
    random: Arc<Mutex<Random>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let header = |name: &str| {
        let value = request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (id, subject, source) = (header("ce-id"), header("ce-subject"), header("ce-source"));
    let Ok(body) = request.into_body().collect().await else {
        // Half a request: its sender died.
        return Ok(respond(400));
    };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    if random.lock().unwrap().percent(REFUSED_PERCENT) {
        inbox.lock().unwrap().refused += 1;
        return Ok(respond(503));
    }
    inbox.lock().unwrap().take(
        id,
        Received {
            subject,
            source,
            body,
        },
    );
    Ok(respond(204))
}

fn respond(status: u16) -> Response<Empty<Bytes>> {
    Response::builder()
        .status(status)
        .body(Empty::new())
        .unwrap()
}
