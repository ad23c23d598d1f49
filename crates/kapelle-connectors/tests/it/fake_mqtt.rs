//! A broker of MQTT that says what Mosquitto can't be made to say.

use bytes::BytesMut;
use kapelle_connectors::mqtt::{Consumer, Quality, SourceConfig, Version};
use kapelle_connectors::{Secret, State};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::{QoS, v5};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::door::{Door, Running};
use crate::eventually;
use crate::outage::QUICK;

async fn listening() -> (TcpListener, SourceConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let mut config = SourceConfig::new(Secret::Plain(url), "orders", "kapelle");
    config.backoff = QUICK;
    (listener, config)
}

/// A connection of version 5 as the broker has it.
struct Link {
    stream: TcpStream,
    read: BytesMut,
}

impl Link {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut link = Self {
            stream,
            read: BytesMut::new(),
        };
        assert!(matches!(link.receive().await, v5::Packet::Connect(..)));
        link
    }

    async fn receive(&mut self) -> v5::Packet {
        loop {
            if let Ok(packet) = v5::Packet::read(&mut self.read, None) {
                return packet;
            }
            assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0);
        }
    }

    async fn send(&mut self, packet: v5::Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn answer(&mut self, session_present: bool, code: v5::SubscribeReasonCode) {
        self.send(v5::Packet::ConnAck(v5::ConnAck {
            session_present,
            code: v5::ConnectReturnCode::Success,
            properties: None,
        }))
        .await;
        let v5::Packet::Subscribe(subscribe) = self.receive().await else {
            panic!("no subscription")
        };
        self.send(v5::Packet::SubAck(v5::SubAck {
            pkid: subscribe.pkid,
            return_codes: vec![code],
            properties: None,
        }))
        .await;
    }
}

#[tokio::test]
async fn a_message_that_an_earlier_connection_had_received_is_completed() {
    let (listener, mut config) = listening().await;
    config.quality = Quality::ExactlyOnce;
    let running = Running::start(Consumer::new(config), &Door::open());
    let mut link = Link::accept(&listener).await;
    let granted = v5::SubscribeReasonCode::Success(QoS::ExactlyOnce);
    link.answer(true, granted).await;
    link.send(v5::Packet::PubRel(v5::PubRel::new(7, None)))
        .await;
    let v5::Packet::PubComp(complete) = link.receive().await else {
        panic!("another packet")
    };
    assert_eq!(complete.pkid, 7);
    assert_eq!(running.handle.snapshot().state, State::Running);
    drop(link);
    running.stop().await;
}

#[tokio::test]
async fn a_subscription_that_is_refused_or_granted_without_acknowledgements_is_told() {
    let (listener, config) = listening().await;
    let running = Running::start(Consumer::new(config), &Door::open());
    let message = || Some(running.handle.snapshot().last_error?.message);
    for (code, expected) in [
        (
            v5::SubscribeReasonCode::NotAuthorized,
            "subscribe to \"orders\": the broker refused: NotAuthorized",
        ),
        (
            v5::SubscribeReasonCode::Success(QoS::AtMostOnce),
            "subscribe to \"orders\": the broker refused: it grants QoS 0 alone, with which messages would be lost",
        ),
    ] {
        Link::accept(&listener).await.answer(false, code).await;
        eventually("it is told", || message().as_deref() == Some(expected)).await;
        assert!(!running.handle.snapshot().healthy());
    }
    running.stop().await;
}

#[tokio::test]
async fn a_subscription_that_is_refused_in_version_3_is_told() {
    let (listener, mut config) = listening().await;
    config.version = Version::V3;
    let running = Running::start(Consumer::new(config), &Door::open());
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = BytesMut::new();
    let accepted = v4::ConnAck::new(v4::ConnectReturnCode::Success, false);
    accepted.write(&mut bytes).unwrap();
    v4::SubAck::new(1, vec![v4::SubscribeReasonCode::Failure])
        .write(&mut bytes)
        .unwrap();
    stream.write_all(&bytes).await.unwrap();
    let message = || Some(running.handle.snapshot().last_error?.message);
    eventually("it is told", || message().is_some()).await;
    let expected = "subscribe to \"orders\": the broker refused: failure";
    assert_eq!(message().as_deref(), Some(expected));
    running.stop().await;
}

#[tokio::test]
async fn why_the_broker_ends_a_connection_is_told() {
    let (listener, config) = listening().await;
    let running = Running::start(Consumer::new(config), &Door::open());
    let message = || Some(running.handle.snapshot().last_error?.message);
    let granted = v5::SubscribeReasonCode::Success(QoS::AtLeastOnce);
    for (packet, expected) in [
        (
            b"\xe0\x01\x8e".as_slice(),
            "the broker ended the connection: another client has come with the same client id",
        ),
        (
            b"\xe0\x02\x9d\x00",
            "the broker ended the connection: reason 0x9d",
        ),
    ] {
        let mut link = Link::accept(&listener).await;
        link.answer(false, granted).await;
        link.stream.write_all(packet).await.unwrap();
        eventually("it is told", || message().as_deref() == Some(expected)).await;
    }
    running.stop().await;
}
