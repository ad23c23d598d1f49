//! A CloudEvent as the variables of a FEEL expression: `type = "order.placed" and data.amount > 100`.
//!
//! Attributes and extensions are variables of their names; those of the specification that are absent are null. Texts
//! stay texts, timestamps too (`date and time(time)` makes one). `data` is what [`CloudEvent::stored_data`] says.
//!
//! **Invariant**: making the view never fails and reads nothing of the data; data is decoded once, when it is asked for.

use std::cell::OnceCell;

use kapelle_feel::{Variable, Variables, json, msgpack};

use crate::attribute::Value;
use crate::{CloudEvent, Data, base64};

/// A view of a CloudEvent that FEEL expressions can read.
#[derive(Debug)]
pub struct Context<'e> {
    event: &'e CloudEvent,
    attributes: Vec<u8>,
    data: OnceCell<Vec<u8>>,
}

impl CloudEvent {
    /// A view that FEEL expressions can read. Keep it for all expressions over one CloudEvent.
    pub fn as_context(&self) -> Context<'_> {
        Context {
            event: self,
            attributes: self.stored_attributes(),
            data: OnceCell::new(),
        }
    }

    /// All attributes and extensions as a stored map (MessagePack).
    pub fn stored_attributes(&self) -> Vec<u8> {
        let attributes = self.attributes();
        let mut out = Vec::with_capacity(256);
        msgpack::write_map_header(&mut out, attributes.len() + self.extensions().count());
        for (name, value) in attributes {
            msgpack::write_str(&mut out, name);
            match value {
                Some(value) => msgpack::write_str(&mut out, value),
                None => msgpack::write_nil(&mut out),
            }
        }
        for (name, value) in self.extensions() {
            msgpack::write_str(&mut out, name);
            match value {
                Value::Boolean(value) => msgpack::write_bool(&mut out, *value),
                Value::Integer(value) => msgpack::write_i64(&mut out, (*value).into()),
                value => msgpack::write_str(&mut out, &value.to_text()),
            }
        }
        out
    }

    /// The data as a stored value (MessagePack), nil if there is none; see [`stored`].
    pub fn stored_data(&self) -> Vec<u8> {
        match self.data().map(Data::as_bytes) {
            Some(data) => stored(data, self.data_is_json()),
            None => {
                let mut nil = Vec::new();
                msgpack::write_nil(&mut nil);
                nil
            }
        }
    }
}

/// Bytes as a stored value (MessagePack): JSON as what it says, other UTF-8 as text, the rest as base64 text. What is
/// declared as JSON but is none counts as text: what it is is not the business of a CloudEvent, and filters and keys may do
/// without it.
pub(crate) fn stored(bytes: &[u8], is_json: bool) -> Vec<u8> {
    if is_json && let Ok(stored) = json::to_msgpack(bytes) {
        return stored;
    }
    let mut out = Vec::new();
    match str::from_utf8(bytes) {
        Ok(text) => msgpack::write_str(&mut out, text),
        Err(_) => msgpack::write_str(&mut out, &base64::encode(bytes)),
    }
    out
}

impl Variables for Context<'_> {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        if name == "data" {
            return Some(Variable::Stored(
                self.data.get_or_init(|| self.event.stored_data()),
            ));
        }
        msgpack::get(&self.attributes, name).map(Variable::Stored)
    }
}
