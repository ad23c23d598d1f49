//! Bytes that somebody broke: every decoder answers, none panics, and what it accepts it can write and read again.

use kapelle_events::amqp::{self, Property};
use kapelle_events::{CloudEvent, Limits, encode, http, json, kafka, mqtt, nats};

use crate::varied;

/// A generator with a fixed seed: a failure is the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }

    /// Changes, inserts, deletes, repeats or cuts a few bytes; some are those that grammars are made of.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const TELLING: &[u8] = b"\"\\{}[],:%u0e-+ntf=\x00\x1f\x7f\x80\xff\xc3\xed\xa0";
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let byte = if self.below(2) == 0 {
                TELLING[self.below(TELLING.len())]
            } else {
                self.below(256) as u8
            };
            match self.below(6) {
                _ if bytes.is_empty() => bytes.push(byte),
                0 | 1 => bytes[at] = byte,
                2 => bytes.insert(at, byte),
                3 => drop(bytes.remove(at)),
                4 => {
                    let end = (at + self.below(20)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ if self.below(8) == 0 => bytes.truncate(at),
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
    }
}

/// Accepted events keep the invariant: the journal and the JSON format give them back.
fn check_accepted(event: &CloudEvent) {
    let mut stored = Vec::new();
    encode::encode(event, &mut stored);
    assert_eq!(&encode::decode(&stored).unwrap(), event);
    let again = json::decode(&json::encode(event), &Limits::DEFAULT).unwrap();
    assert_eq!(again.identity_hash("t"), event.identity_hash("t"));
    assert_eq!(
        http::encode_binary(event)
            .headers
            .iter()
            .find(|(_, value)| !value.is_ascii()),
        None
    );
}

fn run(
    seed: u64,
    rounds: usize,
    mut originals: Vec<Vec<u8>>,
    decode: impl Fn(&[u8]) -> Option<CloudEvent>,
) {
    let mut random = Random(seed);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..rounds {
        let chosen = random.below(originals.len());
        let mut bytes = originals[chosen].clone();
        random.mutate(&mut bytes);
        match decode(&bytes) {
            Some(event) => {
                check_accepted(&event);
                accepted += 1;
                originals[chosen] = bytes; // Go on from what still works: that leads farther from the original.
            }
            None => refused += 1,
        }
    }
    assert!(
        accepted > rounds / 50 && refused > rounds / 50,
        "accepted {accepted}, refused {refused}: tests nothing"
    );
}

#[test]
fn broken_json_events_never_panic() {
    let originals = varied().iter().map(json::encode).collect();
    run(1, 20_000, originals, |bytes| {
        json::decode(bytes, &Limits::DEFAULT).ok()
    });
}

#[test]
fn broken_batches_never_panic() {
    let originals = vec![
        json::encode_batch(&varied()),
        json::encode_batch(&varied()[..2]),
    ];
    run(2, 5_000, originals, |bytes| {
        json::decode_batch(bytes, &Limits::DEFAULT).ok()?.pop()
    });
}

#[test]
fn broken_records_never_panic() {
    let stored = |event: &CloudEvent| {
        let mut out = Vec::new();
        encode::encode(event, &mut out);
        out
    };
    run(3, 20_000, varied().iter().map(stored).collect(), |bytes| {
        encode::decode(bytes).ok()
    });
}

#[test]
fn broken_headers_never_panic() {
    // One text per message: `name: value` lines, which are taken apart again after the mutation.
    let text = |event: &CloudEvent| {
        let lines = http::encode_binary(event)
            .headers
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}\n"));
        lines.collect::<String>().into_bytes()
    };
    let originals: Vec<_> = varied().iter().map(text).collect();
    run(4, 20_000, originals.clone(), |bytes| {
        let (_, mut events) = http::decode(headers(bytes), b"{}", &Limits::DEFAULT).ok()?;
        Some(events.remove(0))
    });
    run(6, 20_000, originals, |bytes| {
        nats::decode(headers(bytes), b"{}", &Limits::DEFAULT).ok()
    });
}

fn headers(text: &[u8]) -> Vec<(&str, &[u8])> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| line.split_at_checked(line.iter().position(|byte| *byte == b':')?))
        .filter_map(|(name, value)| Some((str::from_utf8(name).ok()?, &value[1..])))
        .collect()
}

#[test]
fn broken_properties_never_panic() {
    let text = |event: &CloudEvent| {
        let properties = amqp::encode_binary(event).properties.into_iter();
        properties
            .map(|(name, value)| format!("{name}={}\n", value.to_text()))
            .collect::<String>()
            .into_bytes()
    };
    run(5, 20_000, varied().iter().map(text).collect(), |bytes| {
        let lines = bytes.split(|byte| *byte == b'\n');
        let properties: Vec<_> = lines
            .filter_map(|line| line.split_at_checked(line.iter().position(|byte| *byte == b'=')?))
            .filter_map(|(name, value)| {
                Some((str::from_utf8(name).ok()?, Property::Text(&value[1..])))
            })
            .collect();
        amqp::decode(
            Some("application/json"),
            properties,
            b"{}",
            &Limits::DEFAULT,
        )
        .ok()
    });
}

#[test]
fn broken_records_of_kafka_never_panic() {
    let text = |event: &CloudEvent| {
        let record = kafka::encode_binary(event, kafka::Key::PartitionKey);
        let lines = record
            .headers
            .into_iter()
            .map(|(name, value)| format!("{name}:{value}\n"));
        lines.collect::<String>().into_bytes()
    };
    run(8, 20_000, varied().iter().map(text).collect(), |bytes| {
        let record = kafka::Incoming {
            key: Some(bytes),
            headers: &headers(bytes),
            value: Some(b"{}"),
        };
        kafka::decode(record, kafka::Key::PartitionKey, &Limits::DEFAULT).ok()
    });
}

#[test]
fn broken_user_properties_never_panic() {
    let text = |event: &CloudEvent| {
        let properties = mqtt::encode_binary(event).properties.into_iter();
        let lines = properties.map(|(name, value)| format!("{name}={value}\n"));
        lines.collect::<String>().into_bytes()
    };
    run(7, 20_000, varied().iter().map(text).collect(), |bytes| {
        let text = str::from_utf8(bytes).ok()?;
        let properties: Vec<_> = text
            .split('\n')
            .filter_map(|line| line.split_once('='))
            .collect();
        mqtt::decode(Some("text/plain"), properties, b"{}", &Limits::DEFAULT).ok()
    });
}
