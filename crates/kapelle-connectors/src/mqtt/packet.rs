//! Packets of both versions as the rest knows them: the only place where the library's values meet ours.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes::{self as mqttbytes5, v5};

use super::config::{Quality, Version};
use super::error::Error;

/// The largest packet that MQTT can describe.
const PACKET_BYTES_MAX: usize = 268_435_460;
/// The first byte of the packet.
const DISCONNECT: u8 = 0xe0;
/// The session stays until somebody ends it.
const NEVER: u32 = u32::MAX;

/// What goes out.
#[derive(Debug)]
pub(super) enum Outgoing {
    Connect(Connect),
    Subscribe(Subscribe),
    Publish(Publish),
    /// PUBACK
    Acknowledge(u16),
    /// PUBREC
    Received(u16),
    /// PUBREL
    Release(u16),
    /// PUBCOMP
    Complete(u16),
    Ping,
    Disconnect,
}

#[derive(Debug)]
pub(super) struct Connect {
    pub(super) client_id: String,
    /// Whether the broker keeps the session for the next connection.
    pub(super) persistent: bool,
    pub(super) keep_alive_seconds: u16,
    pub(super) login: Option<(String, String)>,
    /// How many deliveries may wait for our acknowledgement.
    pub(super) receive_max: u16,
}

#[derive(Debug)]
pub(super) struct Subscribe {
    pub(super) id: u16,
    pub(super) topic: String,
    pub(super) quality: Quality,
    pub(super) retained: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Publish {
    pub(super) topic: String,
    /// 0 to 2
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) id: u16,
    pub(super) content_type: Option<String>,
    pub(super) properties: Vec<(String, String)>,
    pub(super) payload: Bytes,
}

/// What comes in. A reason is there where the broker refused.
#[derive(Debug)]
pub(super) enum Incoming {
    Connected(Terms),
    Refused {
        reason: String,
    },
    Subscribed {
        refused: Option<String>,
    },
    Publish(Publish),
    /// PUBACK
    Acknowledged {
        id: u16,
        refused: Option<Refusal>,
    },
    /// PUBREC
    Received {
        id: u16,
        refused: Option<Refusal>,
    },
    /// PUBREL
    Release(u16),
    /// PUBCOMP
    Complete(u16),
    Pong,
    Disconnect {
        reason: String,
    },
    /// Nothing that a client needs.
    Other,
}

/// What the broker allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) receive_max: u16,
    pub(super) packet_bytes_max: usize,
    pub(super) keep_alive_seconds: Option<u16>,
}

/// Why the broker does not want a publication; MQTT 3.1.1 can't say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NobodySubscribed,
    NotAuthorized,
    TopicInvalid,
    QuotaExceeded,
    PayloadInvalid,
    Failed,
}

/// Why a packet was not written.
#[derive(Debug)]
pub(super) struct TooLarge {
    pub(super) bytes_max: usize,
}

/// Takes the next packet from what was read; `None` while it is not complete.
pub(super) fn read(version: Version, buffer: &mut BytesMut) -> Result<Option<Incoming>, Error> {
    let malformed = |why: String| Err(Error::Malformed { why });
    match version {
        Version::V3 => match v4::Packet::read(buffer, PACKET_BYTES_MAX) {
            Ok(packet) => Ok(Some(incoming_v3(packet))),
            Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => malformed(error.to_string()),
        },
        Version::V5 => {
            if let Some(reason) = disconnected(buffer) {
                return Ok(Some(Incoming::Disconnect { reason }));
            }
            match v5::Packet::read(buffer, None) {
                Ok(packet) => incoming_v5(packet).map(Some),
                Err(mqttbytes5::Error::InsufficientBytes(_)) => Ok(None),
                Err(error) => malformed(error.to_string()),
            }
        }
    }
}

/// Why the broker ends the connection, if that is what comes next. The library does not know all reasons.
fn disconnected(buffer: &[u8]) -> Option<String> {
    let (&DISCONNECT, rest) = buffer.split_first()? else {
        return None;
    };
    // A length has one byte more after each with the high bit.
    let last = rest.iter().position(|byte| byte & 0x80 == 0)?;
    let code = if rest[last] == 0 && last == 0 {
        0
    } else {
        *rest.get(last + 1)?
    };
    let known = match code {
        0x8b => "it shuts down",
        0x8e => "another client has come with the same client id",
        0x93 => "it wants less at once",
        0x95 => "a packet was too large",
        0x98 => "somebody wanted it so",
        _ => return Some(format!("reason 0x{code:02x}")),
    };
    Some(known.to_owned())
}

/// Appends a packet to what is to be sent.
pub(super) fn write(
    version: Version,
    packet: Outgoing,
    bytes_max: usize,
    buffer: &mut BytesMut,
) -> Result<(), TooLarge> {
    let written = match version {
        Version::V3 => outgoing_v3(packet).write(buffer, bytes_max).is_ok(),
        Version::V5 => {
            let bytes_max = u32::try_from(bytes_max).unwrap_or(u32::MAX);
            outgoing_v5(packet).write(buffer, Some(bytes_max)).is_ok()
        }
    };
    written.then_some(()).ok_or(TooLarge { bytes_max })
}

fn incoming_v3(packet: v4::Packet) -> Incoming {
    match packet {
        v4::Packet::ConnAck(answer) if answer.code == v4::ConnectReturnCode::Success => {
            Incoming::Connected(Terms {
                receive_max: u16::MAX,
                packet_bytes_max: PACKET_BYTES_MAX,
                keep_alive_seconds: None,
            })
        }
        v4::Packet::ConnAck(answer) => Incoming::Refused {
            reason: format!("{:?}", answer.code),
        },
        v4::Packet::SubAck(answer) => Incoming::Subscribed {
            refused: answer.return_codes.iter().find_map(|code| match code {
                v4::SubscribeReasonCode::Success(mqttbytes::QoS::AtMostOnce) => {
                    Some(ONLY_QOS_0.to_owned())
                }
                v4::SubscribeReasonCode::Success(_) => None,
                v4::SubscribeReasonCode::Failure => Some("failure".to_owned()),
            }),
        },
        v4::Packet::Publish(publish) => Incoming::Publish(Publish {
            topic: publish.topic,
            qos: publish.qos as u8,
            retain: publish.retain,
            id: publish.pkid,
            content_type: None,
            properties: Vec::new(),
            payload: publish.payload,
        }),
        v4::Packet::PubAck(answer) => Incoming::Acknowledged {
            id: answer.pkid,
            refused: None,
        },
        v4::Packet::PubRec(answer) => Incoming::Received {
            id: answer.pkid,
            refused: None,
        },
        v4::Packet::PubRel(answer) => Incoming::Release(answer.pkid),
        v4::Packet::PubComp(answer) => Incoming::Complete(answer.pkid),
        v4::Packet::PingResp => Incoming::Pong,
        _ => Incoming::Other,
    }
}

const ONLY_QOS_0: &str = "it grants QoS 0 alone, with which messages would be lost";

fn incoming_v5(packet: v5::Packet) -> Result<Incoming, Error> {
    Ok(match packet {
        v5::Packet::ConnAck(answer) if answer.code == v5::ConnectReturnCode::Success => {
            let terms = answer.properties;
            let terms = terms.as_ref();
            Incoming::Connected(Terms {
                receive_max: terms
                    .and_then(|terms| terms.receive_max)
                    .unwrap_or(u16::MAX),
                packet_bytes_max: terms
                    .and_then(|terms| usize::try_from(terms.max_packet_size?).ok())
                    .unwrap_or(PACKET_BYTES_MAX),
                keep_alive_seconds: terms.and_then(|terms| terms.server_keep_alive),
            })
        }
        v5::Packet::ConnAck(answer) => Incoming::Refused {
            reason: format!("{:?}", answer.code),
        },
        v5::Packet::SubAck(answer) => Incoming::Subscribed {
            refused: answer.return_codes.iter().find_map(|code| match code {
                v5::SubscribeReasonCode::Success(mqttbytes5::QoS::AtMostOnce) => {
                    Some(ONLY_QOS_0.to_owned())
                }
                v5::SubscribeReasonCode::Success(_) => None,
                other => Some(format!("{other:?}")),
            }),
        },
        v5::Packet::Publish(publish) => {
            let properties = publish.properties.unwrap_or_default();
            let topic = String::from_utf8(publish.topic.to_vec());
            Incoming::Publish(Publish {
                topic: topic.map_err(|_| Error::Malformed {
                    why: "a topic is not UTF-8".to_owned(),
                })?,
                qos: publish.qos as u8,
                retain: publish.retain,
                id: publish.pkid,
                content_type: properties.content_type,
                properties: properties.user_properties,
                payload: publish.payload,
            })
        }
        v5::Packet::PubAck(answer) => Incoming::Acknowledged {
            id: answer.pkid,
            refused: match answer.reason {
                v5::PubAckReason::Success => None,
                v5::PubAckReason::NoMatchingSubscribers => Some(Refusal::NobodySubscribed),
                v5::PubAckReason::NotAuthorized => Some(Refusal::NotAuthorized),
                v5::PubAckReason::TopicNameInvalid => Some(Refusal::TopicInvalid),
                v5::PubAckReason::QuotaExceeded => Some(Refusal::QuotaExceeded),
                v5::PubAckReason::PayloadFormatInvalid => Some(Refusal::PayloadInvalid),
                _ => Some(Refusal::Failed),
            },
        },
        v5::Packet::PubRec(answer) => Incoming::Received {
            id: answer.pkid,
            refused: match answer.reason {
                v5::PubRecReason::Success => None,
                v5::PubRecReason::NoMatchingSubscribers => Some(Refusal::NobodySubscribed),
                v5::PubRecReason::NotAuthorized => Some(Refusal::NotAuthorized),
                v5::PubRecReason::TopicNameInvalid => Some(Refusal::TopicInvalid),
                v5::PubRecReason::QuotaExceeded => Some(Refusal::QuotaExceeded),
                v5::PubRecReason::PayloadFormatInvalid => Some(Refusal::PayloadInvalid),
                _ => Some(Refusal::Failed),
            },
        },
        v5::Packet::PubRel(answer) => Incoming::Release(answer.pkid),
        v5::Packet::PubComp(answer) => Incoming::Complete(answer.pkid),
        v5::Packet::PingResp(_) => Incoming::Pong,
        _ => Incoming::Other,
    })
}

fn outgoing_v3(packet: Outgoing) -> v4::Packet {
    match packet {
        Outgoing::Connect(connect) => {
            let mut packet = v4::Connect::new(connect.client_id);
            packet.keep_alive = connect.keep_alive_seconds;
            packet.clean_session = !connect.persistent;
            packet.login = connect
                .login
                .map(|(user, password)| v4::Login::new(user, password));
            v4::Packet::Connect(packet)
        }
        Outgoing::Subscribe(subscribe) => {
            let qos = match subscribe.quality {
                Quality::AtLeastOnce => mqttbytes::QoS::AtLeastOnce,
                Quality::ExactlyOnce => mqttbytes::QoS::ExactlyOnce,
            };
            let mut packet = v4::Subscribe::new(subscribe.topic, qos);
            packet.pkid = subscribe.id;
            v4::Packet::Subscribe(packet)
        }
        Outgoing::Publish(publish) => {
            let qos = match publish.qos {
                2 => mqttbytes::QoS::ExactlyOnce,
                _ => mqttbytes::QoS::AtLeastOnce,
            };
            let mut packet = v4::Publish::from_bytes(publish.topic, qos, publish.payload);
            packet.pkid = publish.id;
            packet.retain = publish.retain;
            v4::Packet::Publish(packet)
        }
        Outgoing::Acknowledge(id) => v4::Packet::PubAck(v4::PubAck::new(id)),
        Outgoing::Received(id) => v4::Packet::PubRec(v4::PubRec::new(id)),
        Outgoing::Release(id) => v4::Packet::PubRel(v4::PubRel::new(id)),
        Outgoing::Complete(id) => v4::Packet::PubComp(v4::PubComp::new(id)),
        Outgoing::Ping => v4::Packet::PingReq,
        Outgoing::Disconnect => v4::Packet::Disconnect,
    }
}

fn outgoing_v5(packet: Outgoing) -> v5::Packet {
    match packet {
        Outgoing::Connect(connect) => {
            let mut properties = v5::ConnectProperties::new();
            properties.session_expiry_interval = connect.persistent.then_some(NEVER);
            properties.receive_maximum = Some(connect.receive_max);
            let login = connect
                .login
                .map(|(user, password)| v5::Login::new(user, password));
            let packet = v5::Connect {
                keep_alive: connect.keep_alive_seconds,
                client_id: connect.client_id,
                clean_start: !connect.persistent,
                properties: Some(properties),
            };
            v5::Packet::Connect(packet, None, login)
        }
        Outgoing::Subscribe(subscribe) => {
            let qos = match subscribe.quality {
                Quality::AtLeastOnce => mqttbytes5::QoS::AtLeastOnce,
                Quality::ExactlyOnce => mqttbytes5::QoS::ExactlyOnce,
            };
            let mut filter = v5::Filter::new(subscribe.topic, qos);
            filter.retain_forward_rule = if subscribe.retained {
                v5::RetainForwardRule::OnNewSubscribe
            } else {
                v5::RetainForwardRule::Never
            };
            let mut packet = v5::Subscribe::new(filter, None);
            packet.pkid = subscribe.id;
            v5::Packet::Subscribe(packet)
        }
        Outgoing::Publish(publish) => {
            let qos = match publish.qos {
                2 => mqttbytes5::QoS::ExactlyOnce,
                _ => mqttbytes5::QoS::AtLeastOnce,
            };
            let properties = v5::PublishProperties {
                content_type: publish.content_type,
                user_properties: publish.properties,
                ..v5::PublishProperties::default()
            };
            let properties = Some(properties);
            let mut packet = v5::Publish::new(publish.topic, qos, publish.payload, properties);
            packet.pkid = publish.id;
            packet.retain = publish.retain;
            v5::Packet::Publish(packet)
        }
        Outgoing::Acknowledge(id) => v5::Packet::PubAck(v5::PubAck::new(id, None)),
        Outgoing::Received(id) => v5::Packet::PubRec(v5::PubRec::new(id, None)),
        Outgoing::Release(id) => v5::Packet::PubRel(v5::PubRel::new(id, None)),
        Outgoing::Complete(id) => v5::Packet::PubComp(v5::PubComp::new(id, None)),
        Outgoing::Ping => v5::Packet::PingReq(v5::PingReq),
        Outgoing::Disconnect => v5::Packet::Disconnect(v5::Disconnect::new(
            v5::DisconnectReasonCode::NormalDisconnection,
        )),
    }
}
