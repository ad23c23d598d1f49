//! One RabbitMQ for all tests, started by `scripts/rabbitmq.sh`, and one test at a time on it, because some stop it.

use std::future::Future;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use kapelle_connectors::Secret;
use lapin::message::BasicGetMessage;
use lapin::options::{
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

use super::certificates::Certificates;

/// What the script exits with where RabbitMQ can't be had.
const SKIPPED: i32 = 77;

#[derive(Clone)]
pub(crate) struct Broker {
    dir: PathBuf,
    port: u16,
}

/// `None` after a start that was skipped.
static SHARED: Mutex<Option<Option<Broker>>> = Mutex::new(None);

/// Runs a test with the broker to itself, or skips it loudly.
pub(crate) fn with_broker<T: Future<Output = ()>>(name: &str, test: impl FnOnce(Broker) -> T) {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(broker) = shared.get_or_insert_with(Broker::first_start).clone() else {
        // Not by `eprintln!`, which nobody sees of a test that passes.
        let line = format!(
            "SKIPPED: {name}: RabbitMQ is not available
"
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    };
    if !broker.script("status").unwrap().success() {
        broker.start(); // An earlier test failed while it was down.
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test(broker));
}

impl Broker {
    fn first_start() -> Option<Self> {
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build");
        let broker = Self {
            dir: build.join(format!("rabbitmq-test-{}", std::process::id())),
            port: free_ports(),
        };
        Certificates::make(&broker.dir.join("tls"));
        let port = broker.port.to_string();
        let status = script(&["start", broker.dir.to_str().unwrap(), &port])
            .status()
            .unwrap();
        if status.code() == Some(SKIPPED) {
            return None;
        }
        assert!(status.success(), "scripts/rabbitmq.sh start: {status}");
        let pid = std::process::id().to_string();
        assert!(
            script(&["guard", broker.dir.to_str().unwrap(), &pid])
                .status()
                .unwrap()
                .success()
        );
        Some(broker)
    }

    fn script(&self, verb: &str) -> std::io::Result<std::process::ExitStatus> {
        script(&[verb, self.dir.to_str().unwrap(), &self.port.to_string()]).status()
    }

    pub(crate) fn start(&self) {
        assert!(self.script("start").unwrap().success());
    }

    pub(crate) fn stop(&self) {
        assert!(self.script("stop").unwrap().success());
    }

    pub(crate) fn kill9(&self) {
        assert!(self.script("kill9").unwrap().success());
    }

    pub(crate) fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }

    pub(crate) fn url(&self) -> Secret {
        Secret::Plain(self.url_of("guest", "guest"))
    }

    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        format!("amqp://{user}:{password}@127.0.0.1:{}/%2f", self.port)
    }

    /// Over TLS, with a certificate that only those trust who have [`Broker::ca`].
    pub(crate) fn tls_url(&self) -> String {
        format!("amqps://guest:guest@localhost:{}/%2f", self.port + 3)
    }

    /// The certificate of the authority.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.join("tls/ca.pem")
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

/// The first of three free ports in a row.
fn free_ports() -> u16 {
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        if port < u16::MAX - 3 && (1..=3).all(|more| free(port + more)) {
            return port;
        }
    }
}

fn script(arguments: &[&str]) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/rabbitmq.sh");
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::null());
    command
}
