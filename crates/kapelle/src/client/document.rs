//! JSON as a client needs it: read by member, written by builder, passed on unchanged.
//!
//! A document is held in the stored form, so that it goes through the one JSON reader and writer of the workspace.

use kapelle_feel::{json, msgpack};

/// A JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document(Vec<u8>);

impl Document {
    pub(crate) fn null() -> Self {
        let mut bytes = Vec::new();
        msgpack::write_nil(&mut bytes);
        Self(bytes)
    }

    pub(crate) fn parse(text: &[u8]) -> Result<Self, json::Error> {
        json::to_msgpack(text).map(Self)
    }

    pub(crate) fn empty_object() -> Self {
        Self(msgpack::map_from([]))
    }

    /// A list of documents.
    pub(crate) fn of(items: &[Self]) -> Self {
        let mut bytes = Vec::new();
        msgpack::write_array_header(&mut bytes, items.len());
        items
            .iter()
            .for_each(|item| bytes.extend_from_slice(&item.0));
        Self(bytes)
    }

    pub(crate) fn stored(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn get(&self, member: &str) -> Option<&[u8]> {
        msgpack::get(&self.0, member)
    }

    /// A member that is text.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.get(member).and_then(msgpack::as_str)
    }

    pub(crate) fn number(&self, member: &str) -> Option<i64> {
        self.get(member).and_then(msgpack::as_i64)
    }

    pub(crate) fn flag(&self, member: &str) -> Option<bool> {
        self.get(member).and_then(msgpack::as_bool)
    }

    /// A member that is a document of its own.
    pub(crate) fn child(&self, member: &str) -> Option<Self> {
        self.get(member).map(|bytes| Self(bytes.to_vec()))
    }

    /// A member that is an object.
    pub(crate) fn object(&self, member: &str) -> Option<Self> {
        let bytes = self.get(member)?;
        let is_object = msgpack::kind(bytes) == Some(msgpack::Kind::Map);
        is_object.then(|| Self(bytes.to_vec()))
    }

    /// The entries of a member that is a list.
    pub(crate) fn list(&self, member: &str) -> Vec<Self> {
        self.get(member)
            .map(|list| {
                msgpack::items(list)
                    .map(|item| Self(item.to_vec()))
                    .collect()
            })
            .unwrap_or_default()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &[u8])> {
        msgpack::entries(&self.0)
    }

    pub(crate) fn to_json(&self) -> String {
        json::from_msgpack(&self.0)
    }

    pub(crate) fn pretty(&self) -> String {
        json::pretty(&self.0)
    }
}

/// A JSON object in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    text: String,
}

impl Object {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        let mut quoted = String::new();
        json::write_string(&mut quoted, value);
        self.raw(name, &quoted)
    }

    #[must_use]
    pub(crate) fn number(self, name: &str, value: i64) -> Self {
        self.raw(name, &value.to_string())
    }

    #[must_use]
    pub(crate) fn flag(self, name: &str, value: bool) -> Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    #[must_use]
    pub(crate) fn object(self, name: &str, value: Self) -> Self {
        self.raw(name, &value.into_text())
    }

    /// A value that is JSON text already.
    #[must_use]
    pub(crate) fn raw(mut self, name: &str, json_text: &str) -> Self {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        json::write_string(&mut self.text, name);
        self.text.push(':');
        self.text.push_str(json_text);
        self
    }

    #[must_use]
    pub(crate) fn texts<'a>(self, name: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut list = String::from("[");
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                list.push(',');
            }
            json::write_string(&mut list, value);
        }
        list.push(']');
        self.raw(name, &list)
    }

    pub(crate) fn into_text(self) -> String {
        if self.text.is_empty() {
            "{}".to_owned()
        } else {
            self.text + "}"
        }
    }
}
