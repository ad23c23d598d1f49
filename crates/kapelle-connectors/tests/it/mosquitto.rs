//! The tests' Mosquitto, and another party at it.

use std::future::Future;
use std::time::Duration;

use kapelle_connectors::Secret;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

use super::script::{Server, Shared};

static SHARED: Shared = Shared::new("mosquitto");

#[derive(Clone)]
pub(crate) struct Mosquitto {
    pub(crate) server: Server,
}

/// Runs a test with the broker to itself, or skips it loudly.
pub(crate) fn with_mosquitto<T: Future<Output = ()>>(
    name: &str,
    test: impl FnOnce(Mosquitto) -> T,
) {
    SHARED.with(name, |server| test(Mosquitto { server }));
}

impl Mosquitto {
    pub(crate) fn url(&self) -> Secret {
        Secret::Plain(self.url_of("guest", "guest"))
    }

    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        format!("mqtt://{user}:{password}@127.0.0.1:{}", self.server.port())
    }

    /// Over TLS, with a certificate that only those trust who have the server's `ca`.
    pub(crate) fn tls_url(&self) -> String {
        format!("mqtts://guest:guest@localhost:{}", self.server.port() + 1)
    }

    /// A connection of the test's own, as another party would have it.
    pub(crate) async fn connect(&self, client_id: &str) -> Peer {
        self.try_connect(client_id)
            .await
            .expect("the broker is there")
    }

    pub(crate) async fn try_connect(&self, client_id: &str) -> Option<Peer> {
        let mut options = MqttOptions::new(client_id, "127.0.0.1", self.server.port());
        options.set_credentials("guest", "guest");
        options.set_clean_start(false);
        // What is subscribed to under a name is kept for it.
        let expiry = if client_id.is_empty() { 0 } else { u32::MAX };
        options.set_session_expiry_interval(Some(expiry));
        options.set_keep_alive(Duration::from_secs(30));
        let (client, events) = AsyncClient::new(options, 16);
        let mut peer = Peer {
            client,
            events,
            arrived: Vec::new(),
        };
        peer.until(|packet| matches!(packet, Packet::ConnAck(_)))
            .await
            .then_some(peer)
    }
}

/// Another party at the broker.
pub(crate) struct Peer {
    client: AsyncClient,
    events: EventLoop,
    arrived: Vec<Publish>,
}

/// What is to be published.
#[derive(Clone, Default)]
pub(crate) struct Message<'m> {
    pub(crate) topic: &'m str,
    pub(crate) retain: bool,
    pub(crate) content_type: Option<&'m str>,
    pub(crate) properties: &'m [(&'m str, &'m str)],
    pub(crate) body: &'m [u8],
}

impl Peer {
    pub(crate) async fn publish(&mut self, qos: QoS, message: &Message<'_>) {
        assert!(self.try_publish(qos, message).await);
    }

    /// Whether the broker has confirmed it.
    pub(crate) async fn try_publish(&mut self, qos: QoS, message: &Message<'_>) -> bool {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let properties = PublishProperties {
            content_type: message.content_type.map(str::to_owned),
            user_properties: message.properties.iter().map(owned).collect(),
            ..PublishProperties::default()
        };
        let body = message.body.to_vec();
        self.client
            .publish_with_properties(message.topic, qos, message.retain, body, properties)
            .await
            .unwrap();
        match qos {
            QoS::AtMostOnce => {
                // The next confirmation is behind it.
                self.client
                    .publish("unheard", QoS::AtLeastOnce, false, "")
                    .await
                    .unwrap();
                self.until(|packet| matches!(packet, Packet::PubAck(_)))
                    .await
            }
            QoS::AtLeastOnce => {
                self.until(|packet| matches!(packet, Packet::PubAck(_)))
                    .await
            }
            QoS::ExactlyOnce => {
                self.until(|packet| matches!(packet, Packet::PubComp(_)))
                    .await
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str) {
        self.client
            .subscribe(filter, QoS::ExactlyOnce)
            .await
            .unwrap();
        assert!(
            self.until(|packet| matches!(packet, Packet::SubAck(_)))
                .await
        );
    }

    /// The next message that arrives.
    pub(crate) async fn receive(&mut self) -> Publish {
        self.try_receive().await.expect("a message arrives")
    }

    /// `None` when the connection breaks before.
    pub(crate) async fn try_receive(&mut self) -> Option<Publish> {
        if self.arrived.is_empty() {
            self.until(|packet| matches!(packet, Packet::Publish(_)))
                .await;
        }
        (!self.arrived.is_empty()).then(|| self.arrived.remove(0))
    }

    /// Waits for such a packet; `false` when the connection breaks before.
    async fn until(&mut self, wanted: fn(&Packet) -> bool) -> bool {
        loop {
            let polled = tokio::time::timeout(Duration::from_secs(10), self.events.poll()).await;
            let Ok(Ok(event)) = polled else { return false };
            let Event::Incoming(packet) = event else {
                continue;
            };
            let found = wanted(&packet);
            if let Packet::Publish(publish) = packet {
                self.arrived.push(publish);
            }
            if found {
                return true;
            }
        }
    }
}
