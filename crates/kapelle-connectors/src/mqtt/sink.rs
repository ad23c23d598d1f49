//! Topics as a sink: publications that the broker confirms, reconnects.
//!
//! **Invariant**: `Ok` means that the broker has taken the message over: PUBACK (QoS 1) or PUBCOMP (QoS 2) has come for it.
//!
//! The session of a sink ends with its connection: attempts are the caller's, so one that was cut off comes again with a
//! number of its own. With QoS 2 the broker forwards each attempt once, not each CloudEvent.

use std::collections::BTreeMap;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::config::SinkConfig;
use super::connection::{Connection, Purpose};
use super::error::Error;
use super::message::outgoing;
use super::packet::{Incoming, Outgoing, Publish, Refusal, TooLarge};
use crate::link::Link;
use crate::probe::Check;
use crate::sink::{Publication, Sink, SinkError, SinkErrorKind};
use crate::status::{Handle, State};

/// The length of a string of MQTT has two bytes.
const TOPIC_BYTES_MAX: usize = u16::MAX as usize;

/// Publishes CloudEvents to topics.
#[derive(Debug)]
pub struct Publisher {
    config: SinkConfig,
    handle: Handle,
    client_id: String,
    permits: Semaphore,
    /// The way to the task that has the connection.
    link: tokio::sync::Mutex<Link<mpsc::Sender<Ask>>>,
}

/// One publication, and who waits for its end.
#[derive(Debug)]
struct Ask {
    publish: Publish,
    done: oneshot::Sender<Result<(), SinkError>>,
}

impl Publisher {
    /// Nothing is connected before the first publication.
    pub fn new(config: SinkConfig) -> Self {
        Self {
            handle: Handle::new(),
            client_id: format!("kapelle-{:016x}", fastrand::u64(..)),
            permits: Semaphore::new(config.concurrency.into()),
            link: tokio::sync::Mutex::new(Link::new(config.backoff)),
            config,
        }
    }

    /// Looks for the broker, on a connection of its own.
    pub async fn probe(&self) -> Vec<Check> {
        self.config.probe().await
    }

    /// Ends the connection in an orderly way. A later publication makes a new one.
    pub async fn close(&self) {
        drop(self.link.lock().await.take());
        self.handle.status().set_state(State::Stopped);
    }

    async fn attempt(&self, publication: &Publication<'_>) -> Result<(), SinkError> {
        let topic = publication.target.or(self.config.topic.as_deref());
        let topic = topic.unwrap_or(publication.event.event_type());
        if !is_publishable(topic) {
            let message = format!("\"{topic}\" is no MQTT topic to publish to");
            return Err(SinkError::new(SinkErrorKind::InvalidTarget, message));
        }
        let publish = outgoing(publication, topic, &self.config);
        let _permit = self
            .permits
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let attempt = async {
            let line = self.line().await?;
            let (done, end) = oneshot::channel();
            let asked = line.send(Ask { publish, done }).await;
            let broken = || SinkError::new(SinkErrorKind::Unreachable, "the connection broke");
            asked.map_err(|_| broken())?;
            end.await.unwrap_or_else(|_| Err(broken()))
        };
        let attempted = tokio::time::timeout(self.config.timeout, attempt).await;
        attempted.unwrap_or_else(|_| {
            let message = "publish: the broker did not confirm in time";
            Err(SinkError::new(SinkErrorKind::Timeout, message))
        })
    }

    async fn line(&self) -> Result<mpsc::Sender<Ask>, Error> {
        let connecting = async {
            let config = &self.config;
            let purpose = Purpose {
                version: config.version,
                client_id: &self.client_id,
                persistent: false,
                receive_max: 1,
            };
            let connection = Connection::make(
                &config.url,
                config.ca_file.as_deref(),
                config.timeout,
                &purpose,
            );
            let (asks, asked) = mpsc::channel(1);
            tokio::spawn(drive(connection.await?, asked));
            Ok::<_, Error>(asks)
        };
        let mut link = self.link.lock().await;
        let alive = |asks: &mpsc::Sender<Ask>| !asks.is_closed();
        let line = link.connected(self.handle.status(), alive, connecting);
        Ok(line.await?.clone())
    }
}

impl Sink for Publisher {
    fn handle(&self) -> Handle {
        self.handle.clone()
    }

    async fn publish(&self, publication: Publication<'_>) -> Result<(), SinkError> {
        let result = self.attempt(&publication).await;
        self.handle.status().attempted(&result);
        result
    }
}

/// Whether a message can have that topic: wildcards are for subscriptions.
fn is_publishable(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= TOPIC_BYTES_MAX && !topic.contains(['+', '#', '\0'])
}

/// Publishes until nobody asks for more or the connection ends; then all that wait are told.
async fn drive(mut connection: Connection, mut asked: mpsc::Receiver<Ask>) {
    let mut flight = Flight::default();
    let error = loop {
        let has_room = flight.on_the_way.len() < usize::from(connection.terms.receive_max);
        tokio::select! {
            ask = asked.recv(), if has_room => match ask {
                Some(ask) => flight.begin(&mut connection, ask),
                None => return connection.close().await,
            },
            incoming = connection.next() => match incoming {
                Ok(incoming) => flight.note(&mut connection, incoming),
                Err(error) => break error,
            },
        }
    };
    let error = SinkError::from(error);
    for (_, (done, _)) in flight.on_the_way {
        done.send(Err(error.clone())).ok();
    }
}

/// What is on the way, by the numbers of the packets.
#[derive(Default)]
struct Flight {
    /// With whether the broker keeps it for later subscribers.
    on_the_way: BTreeMap<u16, (oneshot::Sender<Result<(), SinkError>>, bool)>,
    last: u16,
}

impl Flight {
    fn begin(&mut self, connection: &mut Connection, ask: Ask) {
        let id = self.free();
        let Ask { mut publish, done } = ask;
        publish.id = id;
        let retain = publish.retain;
        match connection.try_put(Outgoing::Publish(publish)) {
            Ok(()) => drop(self.on_the_way.insert(id, (done, retain))),
            Err(TooLarge { bytes_max }) => {
                let message =
                    format!("publish: larger than the {bytes_max} bytes that the broker takes");
                done.send(Err(SinkError::new(SinkErrorKind::Refused, message)))
                    .ok();
            }
        }
    }

    /// A number that nothing on the way has; there is one, because less is on the way than there are numbers.
    fn free(&mut self) -> u16 {
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            if !self.on_the_way.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    fn note(&mut self, connection: &mut Connection, incoming: Incoming) {
        match incoming {
            Incoming::Acknowledged { id, refused } => self.end(id, refused),
            Incoming::Received { id, refused: None } => connection.put(Outgoing::Release(id)),
            Incoming::Received { id, refused } => self.end(id, refused),
            Incoming::Complete(id) => self.end(id, None),
            _ => {}
        }
    }

    fn end(&mut self, id: u16, refused: Option<Refusal>) {
        if let Some((done, retain)) = self.on_the_way.remove(&id) {
            let result = refused.map_or(Ok(()), |refusal| judge(refusal, retain));
            done.send(result).ok();
        }
    }
}

fn judge(refusal: Refusal, retain: bool) -> Result<(), SinkError> {
    let (kind, why) = match refusal {
        // It is kept for those who come.
        Refusal::NobodySubscribed if retain => return Ok(()),
        Refusal::NobodySubscribed => (
            SinkErrorKind::Unroutable,
            "nobody has subscribed to the topic",
        ),
        Refusal::NotAuthorized => (
            SinkErrorKind::Refused,
            "the broker does not allow us that topic",
        ),
        Refusal::TopicInvalid => (
            SinkErrorKind::InvalidTarget,
            "the broker does not take that topic",
        ),
        Refusal::QuotaExceeded => (SinkErrorKind::Throttled, "the broker's quota is exceeded"),
        Refusal::PayloadInvalid => (
            SinkErrorKind::Refused,
            "the broker does not take that payload",
        ),
        Refusal::Failed => (SinkErrorKind::ReceiverFailed, "the broker failed"),
    };
    Err(SinkError::new(kind, format!("publish: {why}")))
}
