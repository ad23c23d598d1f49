//! The tests' NATS server, and another party at it.

use std::future::Future;
use std::time::Duration;

use async_nats::jetstream::consumer::{Info, PullConsumer};
use async_nats::jetstream::context::Context;
use async_nats::jetstream::stream;
use async_nats::{ConnectOptions, HeaderMap};
use kapelle_connectors::Secret;

use super::script::{Server, Shared};

static SHARED: Shared = Shared::new("nats");

#[derive(Clone)]
pub(crate) struct Nats {
    pub(crate) server: Server,
}

/// Runs a test with the server to itself, or skips it loudly.
pub(crate) fn with_nats<T: Future<Output = ()>>(name: &str, test: impl FnOnce(Nats) -> T) {
    SHARED.with(name, |server| test(Nats { server }));
}

impl Nats {
    pub(crate) fn url(&self) -> Secret {
        Secret::Plain(self.url_of("guest", "guest"))
    }

    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        format!("nats://{user}:{password}@127.0.0.1:{}", self.server.port())
    }

    /// Over TLS, with a certificate that only those trust who have the server's `ca`.
    pub(crate) fn tls_url(&self) -> String {
        format!("tls://guest:guest@localhost:{}", self.server.port())
    }

    /// A connection of the test's own, as another party would have it.
    pub(crate) async fn connect(&self) -> Peer {
        self.try_connect().await.expect("the server is there")
    }

    pub(crate) async fn try_connect(&self) -> Option<Peer> {
        let options = ConnectOptions::with_user_and_password("guest".into(), "guest".into())
            .request_timeout(Some(Duration::from_secs(2)));
        let address = format!("127.0.0.1:{}", self.server.port());
        let client = options.connect(address).await.ok()?;
        Some(Peer {
            jetstream: async_nats::jetstream::new(client),
        })
    }
}

/// Another party at the server.
pub(crate) struct Peer {
    pub(crate) jetstream: Context,
}

impl Peer {
    /// A stream of all subjects that begin with its name.
    pub(crate) async fn stream(&self, name: &str) {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![name.to_owned(), format!("{name}.>")],
            max_message_size: 100_000,
            ..stream::Config::default()
        };
        self.jetstream.create_stream(config).await.unwrap();
    }

    pub(crate) async fn publish(&self, subject: &str, headers: &[(&str, &str)], body: &[u8]) {
        assert!(self.try_publish(subject, headers, body).await);
    }

    /// Whether the server has confirmed it.
    pub(crate) async fn try_publish(
        &self,
        subject: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        let body = body.to_vec().into();
        let publishing = self
            .jetstream
            .publish_with_headers(subject.to_owned(), map, body);
        match publishing.await {
            Ok(confirmation) => confirmation.await.is_ok(),
            Err(_) => false,
        }
    }

    /// What the server knows of the consumer that all sources of these tests have.
    pub(crate) async fn consumer(&self, stream: &str) -> Info {
        let looking = self.jetstream.get_consumer_from_stream("kapelle", stream);
        let consumer: PullConsumer = looking.await.unwrap();
        consumer.cached_info().clone()
    }

    /// How many messages are neither acknowledged nor still to come.
    pub(crate) async fn left(&self, stream: &str) -> u64 {
        let info = self.consumer(stream).await;
        info.num_pending + info.num_ack_pending as u64
    }
}
