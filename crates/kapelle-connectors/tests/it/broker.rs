//! The tests' RabbitMQ, and another party at it.

use std::future::Future;

use kapelle_connectors::Secret;
use lapin::message::BasicGetMessage;
use lapin::options::{
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

use super::script::{Server, Shared};

static SHARED: Shared = Shared::new("rabbitmq");

#[derive(Clone)]
pub(crate) struct Broker {
    pub(crate) server: Server,
}

/// Runs a test with the broker to itself, or skips it loudly.
pub(crate) fn with_broker<T: Future<Output = ()>>(name: &str, test: impl FnOnce(Broker) -> T) {
    SHARED.with(name, |server| test(Broker { server }));
}

impl Broker {
    pub(crate) fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.server.port())
    }

    pub(crate) fn url(&self) -> Secret {
        Secret::Plain(self.url_of("guest", "guest"))
    }

    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        format!(
            "amqp://{user}:{password}@127.0.0.1:{}/%2f",
            self.server.port()
        )
    }

    /// Over TLS, with a certificate that only those trust who have the server's `ca`.
    pub(crate) fn tls_url(&self) -> String {
        format!(
            "amqps://guest:guest@localhost:{}/%2f",
            self.server.port() + 3
        )
    }

    /// A connection of the test's own, as another party would have it.
    pub(crate) async fn connect(&self) -> Peer {
        let url = self.url_of("guest", "guest");
        let connection = Connection::connect(&url, ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        Peer {
            _connection: connection,
            channel,
        }
    }
}

/// Another party at the broker.
pub(crate) struct Peer {
    _connection: Connection,
    pub(crate) channel: Channel,
}

impl Peer {
    pub(crate) async fn quorum_queue(&self, queue: &str) {
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        let options = QueueDeclareOptions::durable();
        self.channel
            .queue_declare(queue.into(), options, arguments)
            .await
            .unwrap();
    }

    pub(crate) async fn exchange(&self, exchange: &str, queue: &str, routing_key: &str) {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let declaring = self.channel.exchange_declare(
            exchange.into(),
            ExchangeKind::Direct,
            options,
            FieldTable::default(),
        );
        declaring.await.unwrap();
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        self.channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                routing_key.into(),
                options,
                none,
            )
            .await
            .unwrap();
    }

    pub(crate) async fn publish(&self, queue: &str, properties: BasicProperties, body: &[u8]) {
        let properties = properties.with_delivery_mode(2);
        let publishing = self.channel.basic_publish(
            "".into(),
            queue.into(),
            Default::default(),
            body,
            properties,
        );
        assert!(publishing.await.unwrap().await.unwrap().is_ack());
    }

    /// Ready messages of a queue; those given out and not acknowledged do not count.
    pub(crate) async fn ready(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        self.channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await
            .unwrap()
            .message_count()
    }

    pub(crate) async fn get(&self, queue: &str) -> Option<BasicGetMessage> {
        let options = lapin::options::BasicGetOptions { no_ack: true };
        self.channel.basic_get(queue.into(), options).await.unwrap()
    }
}
