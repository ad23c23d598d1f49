//! The CloudEvent and its builder.
//!
//! **Invariant**: only [`Builder::build_within`] makes a [`CloudEvent`], and it checks every rule; so the codecs, the
//! engine and the connectors never meet an invalid one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::attribute::{
    self, Name, Value, check_media_type, check_text, check_uri, check_uri_reference, is_printable,
};
use crate::{Error, Kind, Limit, Limits, Timestamp};

/// The only `specversion` there is for us. Patch releases of the specification do not change it.
pub const SPEC_VERSION: &str = "1.0";

/// What comes from and goes to the outside: CloudEvents 1.0 attributes, extensions and data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudEvent {
    id: Box<str>,
    source: Box<str>,
    event_type: Box<str>,
    subject: Option<Box<str>>,
    time: Option<Timestamp>,
    data_content_type: Option<Box<str>>,
    data_schema: Option<Box<str>>,
    extensions: BTreeMap<Name, Value>,
    data: Option<Data>,
}

/// The payload, byte for byte as the producer meant it. Clones share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Data(Arc<[u8]>);

impl Data {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data(\"{}\")", self.0.escape_ascii())
    }
}

impl CloudEvent {
    /// Begins a CloudEvent with the attributes that every one has.
    pub fn builder(
        id: impl Into<Box<str>>,
        source: impl Into<Box<str>>,
        event_type: impl Into<Box<str>>,
    ) -> Builder {
        Builder {
            id: Some(id.into()),
            source: Some(source.into()),
            event_type: Some(event_type.into()),
            ..Builder::default()
        }
    }

    /// Begins a CloudEvent that differs from this one in what is set next.
    pub fn to_builder(&self) -> Builder {
        Builder {
            id: Some(self.id.clone()),
            source: Some(self.source.clone()),
            event_type: Some(self.event_type.clone()),
            subject: self.subject.clone(),
            time: self.time.clone(),
            data_content_type: self.data_content_type.clone(),
            data_schema: self.data_schema.clone(),
            extensions: self
                .extensions
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.clone()))
                .collect(),
            data: self.data.clone(),
            version_seen: true,
        }
    }

    /// `id`, unique within its source.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `source`
    pub fn source(&self) -> &str {
        &self.source
    }

    /// `type`
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// `subject`
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// `time`
    pub fn time(&self) -> Option<&Timestamp> {
        self.time.as_ref()
    }

    /// `datacontenttype`
    pub fn data_content_type(&self) -> Option<&str> {
        self.data_content_type.as_deref()
    }

    /// `dataschema`
    pub fn data_schema(&self) -> Option<&str> {
        self.data_schema.as_deref()
    }

    /// The text of one of the specification's own attributes; `specversion` is [`SPEC_VERSION`].
    pub fn attribute_text(&self, name: &str) -> Option<&str> {
        match name {
            "specversion" => Some(SPEC_VERSION),
            "id" => Some(self.id()),
            "source" => Some(self.source()),
            "type" => Some(self.event_type()),
            "subject" => self.subject(),
            "time" => self.time().map(Timestamp::as_str),
            "datacontenttype" => self.data_content_type(),
            "dataschema" => self.data_schema(),
            _ => None,
        }
    }

    /// All attributes but `datacontenttype` as texts: what transports without types have as headers.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let own = self
            .attributes()
            .into_iter()
            .filter(|(name, _)| *name != "datacontenttype")
            .filter_map(|(name, value)| Some((name, Cow::Borrowed(value?))));
        let extensions = self
            .extensions()
            .map(|(name, value)| (name, value.to_text()));
        own.chain(extensions)
    }

    /// The specification's own attributes with their texts, in the order in which it names them.
    pub(crate) fn attributes(&self) -> [(&'static str, Option<&str>); 8] {
        const NAMES: [&str; 8] = [
            "specversion",
            "id",
            "source",
            "type",
            "subject",
            "time",
            "datacontenttype",
            "dataschema",
        ];
        NAMES.map(|name| (name, self.attribute_text(name)))
    }

    /// One extension.
    pub fn extension(&self, name: &str) -> Option<&Value> {
        self.extensions.get(name)
    }

    /// All extensions, in the order of their names.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.extensions
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// The payload.
    pub fn data(&self) -> Option<&Data> {
        self.data.as_ref()
    }

    /// Whether the data is to be read as JSON: declared so, or not declared at all (the JSON event format takes a
    /// missing `datacontenttype` for `application/json`).
    pub fn data_is_json(&self) -> bool {
        self.data_content_type
            .as_deref()
            .is_none_or(attribute::is_json)
    }

    /// What keeps its order: CloudEvents with the same key are processed in the order of arrival.
    pub fn partition_key(&self) -> &str {
        self.text_extension(attribute::PARTITION_KEY)
            .or(self.subject())
            .unwrap_or(&self.source)
    }

    /// `correlationid`: the conversation it belongs to.
    pub fn correlation_id(&self) -> Option<&str> {
        self.text_extension(attribute::CORRELATION_ID)
    }

    /// `causationid`: the CloudEvent that caused it.
    pub fn causation_id(&self) -> Option<&str> {
        self.text_extension(attribute::CAUSATION_ID)
    }

    /// `traceparent` of W3C Trace Context.
    pub fn trace_parent(&self) -> Option<&str> {
        self.text_extension(attribute::TRACE_PARENT)
    }

    /// The trace that `traceparent` names.
    pub fn trace_id(&self) -> Option<&str> {
        let (_, rest) = self.trace_parent()?.split_once('-')?;
        rest.split('-').next().filter(|id| id.len() == 32)
    }

    /// `expirytime`: when it is of no more use.
    pub fn expiry_time(&self) -> Option<&Timestamp> {
        match self.extension(attribute::EXPIRY_TIME)? {
            Value::Timestamp(time) => Some(time),
            _ => None,
        }
    }

    /// Bytes of all names, values and data: what counts against [`Limits::event_bytes_max`].
    pub fn size(&self) -> usize {
        let length = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
        let extensions: usize = self
            .extensions
            .iter()
            .map(|(name, value)| name.as_str().len() + value.size())
            .sum();
        self.id.len()
            + self.source.len()
            + self.event_type.len()
            + length(&self.subject)
            + length(&self.data_content_type)
            + length(&self.data_schema)
            + self.time.as_ref().map_or(0, |time| time.as_str().len())
            + extensions
            + self.data.as_ref().map_or(0, |data| data.as_bytes().len())
    }

    fn text_extension(&self, name: &str) -> Option<&str> {
        self.extension(name).and_then(Value::as_str)
    }
}

/// A CloudEvent in the making. Nothing is checked before [`build`](Self::build).
#[derive(Debug, Clone, Default)]
pub struct Builder {
    id: Option<Box<str>>,
    source: Option<Box<str>>,
    event_type: Option<Box<str>>,
    subject: Option<Box<str>>,
    time: Option<Timestamp>,
    data_content_type: Option<Box<str>>,
    data_schema: Option<Box<str>>,
    extensions: BTreeMap<Box<str>, Value>,
    data: Option<Data>,
    version_seen: bool,
}

impl Builder {
    /// Sets `id`.
    #[must_use]
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets `source`.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<str>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets `type`.
    #[must_use]
    pub fn event_type(mut self, event_type: impl Into<Box<str>>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Sets `subject`.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<Box<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets `time`.
    #[must_use]
    pub fn time(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// Sets `dataschema`.
    #[must_use]
    pub fn data_schema(mut self, data_schema: impl Into<Box<str>>) -> Self {
        self.data_schema = Some(data_schema.into());
        self
    }

    /// Sets an extension.
    #[must_use]
    pub fn extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// Sets `correlationid`.
    #[must_use]
    pub fn correlation_id(self, id: impl Into<Box<str>>) -> Self {
        self.extension(attribute::CORRELATION_ID, Value::String(id.into()))
    }

    /// Sets `causationid`.
    #[must_use]
    pub fn causation_id(self, id: impl Into<Box<str>>) -> Self {
        self.extension(attribute::CAUSATION_ID, Value::String(id.into()))
    }

    /// Sets `traceparent`.
    #[must_use]
    pub fn trace_parent(self, trace_parent: impl Into<Box<str>>) -> Self {
        self.extension(attribute::TRACE_PARENT, Value::String(trace_parent.into()))
    }

    /// Sets `datacontenttype` alone. Codecs learn it apart from the data.
    #[must_use]
    pub fn data_content_type(mut self, content_type: impl Into<Box<str>>) -> Self {
        self.data_content_type = Some(content_type.into());
        self
    }

    /// Sets the data and what it is.
    #[must_use]
    pub fn data(mut self, content_type: impl Into<Box<str>>, data: impl Into<Data>) -> Self {
        self.data = Some(data.into());
        self.data_content_type(content_type)
    }

    /// Sets the data alone.
    #[must_use]
    pub fn bare_data(mut self, data: impl Into<Data>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Checks everything against the default limits.
    pub fn build(self) -> Result<CloudEvent, Error> {
        self.build_within(&Limits::DEFAULT)
    }

    /// Checks everything.
    pub fn build_within(self, limits: &Limits) -> Result<CloudEvent, Error> {
        let event = CloudEvent {
            id: required("id", self.id)?,
            source: required("source", self.source)?,
            event_type: required("type", self.event_type)?,
            subject: self.subject,
            time: self.time,
            data_content_type: self.data_content_type,
            data_schema: self.data_schema,
            extensions: checked_extensions(self.extensions, limits)?,
            data: self.data,
        };
        check("id", Some(&*event.id), check_non_empty, limits)?;
        check("source", Some(&*event.source), check_uri_reference, limits)?;
        check("type", Some(&*event.event_type), check_non_empty, limits)?;
        check("subject", event.subject(), check_non_empty, limits)?;
        check(
            "datacontenttype",
            event.data_content_type(),
            check_media_type,
            limits,
        )?;
        check("dataschema", event.data_schema(), check_uri, limits)?;
        let (found, max) = (event.size(), limits.event_bytes_max);
        if found > max {
            return Err(Kind::TooLarge {
                limit: Limit::EventBytes,
                found,
                max,
            }
            .into());
        }
        Ok(event)
    }

    /// Sets any attribute by its name from what a transport carried; a second value for one name is an error.
    pub(crate) fn set(&mut self, name: &str, value: Value) -> Result<(), Error> {
        let duplicate = match name {
            "specversion" => std::mem::replace(&mut self.version_seen, check_version(value)?),
            "id" => self.id.replace(text_of(name, value)?).is_some(),
            "source" => self.source.replace(text_of(name, value)?).is_some(),
            "type" => self.event_type.replace(text_of(name, value)?).is_some(),
            "subject" => self.subject.replace(text_of(name, value)?).is_some(),
            "datacontenttype" => self
                .data_content_type
                .replace(text_of(name, value)?)
                .is_some(),
            "dataschema" => self.data_schema.replace(text_of(name, value)?).is_some(),
            "time" => match typed(name, attribute::Type::Timestamp, value)? {
                Value::Timestamp(time) => self.time.replace(time).is_some(),
                other => return Err(wrong_type(name, "a timestamp", &other)),
            },
            _ => self.extensions.insert(name.into(), value).is_some(),
        };
        if duplicate {
            Err(Kind::DuplicateAttribute {
                name: name.to_owned(),
            }
            .into())
        } else {
            Ok(())
        }
    }

    /// Like [`build_within`](Self::build_within) for what came from outside, which must say its version.
    pub(crate) fn build_received(mut self, limits: &Limits) -> Result<CloudEvent, Error> {
        if !self.version_seen {
            return Err(Kind::MissingAttribute {
                name: "specversion",
            }
            .into());
        }
        // Only here: what is stored already stays readable.
        if !self.data_content_type.as_deref().is_none_or(is_printable) {
            return Err(Kind::InvalidValue {
                name: "datacontenttype".to_owned(),
                why: "it is not printable ASCII",
            }
            .into());
        }
        // A header of HTTP loses them on the way out, and it would be another CloudEvent there.
        self.data_content_type = self
            .data_content_type
            .map(|content_type| content_type.trim_ascii().into());
        self.build_within(limits)
    }

    pub(crate) fn set_data(&mut self, data: Data) {
        self.data = Some(data);
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.data_content_type.as_deref()
    }
}

/// A value of the type that the attribute has; text is read as that type, as text-only transports need it.
fn typed(name: &str, expected: attribute::Type, value: Value) -> Result<Value, Error> {
    match value {
        Value::String(text) => expected.parse(&text).map_err(|why| {
            Kind::InvalidValue {
                name: name.to_owned(),
                why,
            }
            .into()
        }),
        value if value.kind() == expected => Ok(value),
        value => Err(wrong_type(name, expected.as_str(), &value)),
    }
}

fn text_of(name: &str, value: Value) -> Result<Box<str>, Error> {
    match value {
        Value::String(text) | Value::Uri(text) | Value::UriReference(text) => Ok(text),
        other => Err(wrong_type(name, "a string", &other)),
    }
}

/// Codecs set the version before anything else, because what the other attributes mean depends on it.
fn check_version(value: Value) -> Result<bool, Error> {
    let found = text_of("specversion", value)?;
    if &*found == SPEC_VERSION {
        Ok(true)
    } else {
        Err(Kind::UnsupportedVersion {
            found: found.into(),
        }
        .into())
    }
}

fn wrong_type(name: &str, expected: &'static str, found: &Value) -> Error {
    Kind::WrongType {
        name: name.to_owned(),
        expected,
        found: found.kind().as_str(),
    }
    .into()
}

fn required(name: &'static str, value: Option<Box<str>>) -> Result<Box<str>, Error> {
    value.ok_or_else(|| Kind::MissingAttribute { name }.into())
}

fn check_non_empty(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("it is empty")
    } else {
        check_text(text)
    }
}

fn check(
    name: &str,
    text: Option<&str>,
    rule: fn(&str) -> Result<(), &'static str>,
    limits: &Limits,
) -> Result<(), Error> {
    let Some(text) = text else { return Ok(()) };
    check_size(text.len(), limits)?;
    rule(text).map_err(|why| {
        Kind::InvalidValue {
            name: name.to_owned(),
            why,
        }
        .into()
    })
}

fn check_size(found: usize, limits: &Limits) -> Result<(), Error> {
    let max = limits.value_bytes_max;
    if found > max {
        Err(Kind::TooLarge {
            limit: Limit::ValueBytes,
            found,
            max,
        }
        .into())
    } else {
        Ok(())
    }
}

fn checked_extensions(
    extensions: BTreeMap<Box<str>, Value>,
    limits: &Limits,
) -> Result<BTreeMap<Name, Value>, Error> {
    let (found, max) = (extensions.len(), limits.extensions_max);
    if found > max {
        return Err(Kind::TooLarge {
            limit: Limit::Extensions,
            found,
            max,
        }
        .into());
    }
    let mut checked = BTreeMap::new();
    for (name, value) in extensions {
        let name = Name::new(&name, limits)?;
        check_size(value.size(), limits)?;
        let value = match attribute::known_type(name.as_str()) {
            Some(known) => typed(name.as_str(), known, value)?,
            None => value,
        };
        value.check().map_err(|why| Kind::InvalidValue {
            name: name.as_str().to_owned(),
            why,
        })?;
        checked.insert(name, value);
    }
    Ok(checked)
}
