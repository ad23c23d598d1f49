//! The JSON event format and the JSON batch format.
//!
//! **Invariant**: `data` of a JSON event is kept as the slice of text it was, and `data` that is JSON is written as the
//! bytes it is. Only white space around the value is not part of it.
//!
//! | `datacontenttype` | data | member |
//! |---|---|---|
//! | JSON or none | a JSON value | `data`, as it stands |
//! | text or XML | UTF-8 | `data`, a JSON string |
//! | anything else | anything | `data_base64` |

use kapelle_feel::json::pull::{self, Raw};
use kapelle_feel::json::write_string;

use crate::attribute::{Value, essence, is_json, is_reserved};
use crate::{Builder, CloudEvent, Data, Error, Kind, Limit, Limits, SPEC_VERSION, base64};

/// Media type of one CloudEvent in structured mode.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";
/// Media type of a batch.
pub const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";

/// Reads one CloudEvent.
pub fn decode(text: &[u8], limits: &Limits) -> Result<CloudEvent, Error> {
    event_of(parse(text)?, limits)
}

/// Reads what says only by itself that it is a CloudEvent, with `specversion`.
pub(crate) fn decode_unclaimed(text: &[u8], limits: &Limits) -> Result<CloudEvent, Error> {
    const CLAIM: &[u8] = b"\"specversion\"";
    decode(text, limits).map_err(|error| {
        let claims = text.windows(CLAIM.len()).any(|window| window == CLAIM);
        if claims {
            error
        } else {
            Kind::NotACloudEvent.into()
        }
    })
}

/// Reads a batch; the error names the first bad entry.
pub fn decode_batch(text: &[u8], limits: &Limits) -> Result<Vec<CloudEvent>, Error> {
    let too_large = |limit, found, max| Err(Kind::TooLarge { limit, found, max }.into());
    if text.len() > limits.batch_bytes_max {
        return too_large(Limit::BatchBytes, text.len(), limits.batch_bytes_max);
    }
    let raw = parse(text)?;
    if raw.kind() != pull::Kind::Array {
        return Err(Kind::NotABatch {
            found: raw.kind().as_str(),
        }
        .into());
    }
    let count = raw.elements().count();
    if count > limits.batch_events_max {
        return too_large(Limit::BatchEvents, count, limits.batch_events_max);
    }
    let entry = |(index, raw)| event_of(raw, limits).map_err(|error| error.in_batch_entry(index));
    raw.elements().enumerate().map(entry).collect()
}

/// Writes one CloudEvent in structured mode.
pub fn encode(event: &CloudEvent) -> Vec<u8> {
    let mut out = String::with_capacity(event.size() + 256);
    write(event, &mut out);
    out.into_bytes()
}

/// Writes a batch.
pub fn encode_batch<'e>(events: impl IntoIterator<Item = &'e CloudEvent>) -> Vec<u8> {
    let mut out = String::from("[");
    for event in events {
        if out.len() > 1 {
            out.push(',');
        }
        write(event, &mut out);
    }
    out.push(']');
    out.into_bytes()
}

fn parse(text: &[u8]) -> Result<Raw<'_>, Error> {
    let text = str::from_utf8(text).map_err(|error| {
        let place = format!("the JSON text at byte {}", error.valid_up_to());
        Kind::InvalidUtf8 { place }
    })?;
    Raw::parse(text).map_err(|error| malformed(&error))
}

fn malformed(error: &pull::SyntaxError) -> Error {
    Kind::MalformedJson {
        offset: error.offset,
        what: error.what.to_owned(),
    }
    .into()
}

fn event_of(raw: Raw<'_>, limits: &Limits) -> Result<CloudEvent, Error> {
    if raw.kind() != pull::Kind::Object {
        return Err(Kind::NotAnObject {
            found: raw.kind().as_str(),
        }
        .into());
    }
    let mut builder = Builder::default();
    set_members(&mut builder, raw, |name| name == "specversion")?;
    set_members(&mut builder, raw, |name| {
        !matches!(name, "specversion" | "data" | "data_base64")
    })?;
    set_data(&mut builder, raw)?;
    builder.build_received(limits)
}

fn set_members(
    builder: &mut Builder,
    object: Raw<'_>,
    wanted: fn(&str) -> bool,
) -> Result<(), Error> {
    for (name, value) in object.members() {
        let name = member_name(name)?;
        // An attribute that is null is one that is not there (JSON event format, "Envelope").
        if wanted(&name) && value.kind() != pull::Kind::Null {
            builder.set(&name, attribute_value(&name, value)?)?;
        }
    }
    Ok(())
}

fn member_name(raw: Raw<'_>) -> Result<std::borrow::Cow<'_, str>, Error> {
    raw.as_str().ok_or_else(|| {
        let name = raw.text().trim_matches('"').to_owned();
        Kind::InvalidName {
            name,
            why: "it holds half a surrogate pair",
        }
        .into()
    })
}

fn attribute_value(name: &str, raw: Raw<'_>) -> Result<Value, Error> {
    let invalid = |why| {
        Kind::InvalidValue {
            name: name.to_owned(),
            why,
        }
        .into()
    };
    match raw.kind() {
        pull::Kind::String => text_value(name, raw).map(|text| Value::String(text.into())),
        pull::Kind::Bool => Ok(Value::Boolean(raw.as_bool() == Some(true))),
        pull::Kind::Number if is_reserved(name) => Err(wrong_type(name, "a string", raw)),
        pull::Kind::Number => raw
            .text()
            .parse()
            .map(Value::Integer)
            .map_err(|_| invalid("it is no 32-bit integer")),
        _ => Err(wrong_type(name, "a string, a boolean or an integer", raw)),
    }
}

fn text_value<'t>(name: &str, raw: Raw<'t>) -> Result<std::borrow::Cow<'t, str>, Error> {
    if raw.kind() != pull::Kind::String {
        return Err(wrong_type(name, "a string", raw));
    }
    let half = || Kind::InvalidValue {
        name: name.to_owned(),
        why: "it holds half a surrogate pair",
    };
    raw.as_str().ok_or_else(|| half().into())
}

fn wrong_type(name: &str, expected: &'static str, raw: Raw<'_>) -> Error {
    Kind::WrongType {
        name: name.to_owned(),
        expected,
        found: raw.kind().as_str(),
    }
    .into()
}

fn set_data(builder: &mut Builder, object: Raw<'_>) -> Result<(), Error> {
    let json_data = only_member(object, "data")?;
    // For `data_base64` null can only mean "not there"; for `data` it is the JSON value null.
    let binary_data =
        only_member(object, "data_base64")?.filter(|raw| raw.kind() != pull::Kind::Null);
    match (json_data, binary_data) {
        (Some(_), Some(_)) => return Err(Kind::DataTwice.into()),
        (None, None) => {}
        (Some(raw), None) if builder.content_type().is_none_or(is_json) => {
            builder.set_data(raw.text().into())
        }
        (Some(raw), None) => builder.set_data(Data::from(&*text_value("data", raw)?)),
        (None, Some(raw)) => {
            let text = text_value("data_base64", raw)?;
            let broken = || Kind::InvalidBase64 {
                name: "data_base64".to_owned(),
            };
            builder.set_data(base64::decode(&text).ok_or_else(broken)?.into());
        }
    }
    Ok(())
}

fn only_member<'t>(object: Raw<'t>, wanted: &str) -> Result<Option<Raw<'t>>, Error> {
    let mut found = None;
    for (name, value) in object.members() {
        if name.as_str().is_some_and(|name| name == wanted) && found.replace(value).is_some() {
            return Err(Kind::DuplicateAttribute {
                name: wanted.to_owned(),
            }
            .into());
        }
    }
    Ok(found)
}

fn write(event: &CloudEvent, out: &mut String) {
    out.push_str("{\"specversion\":");
    write_string(out, SPEC_VERSION);
    let time = event.time().map(crate::Timestamp::as_str);
    let attributes = [
        ("id", Some(event.id())),
        ("source", Some(event.source())),
        ("type", Some(event.event_type())),
        ("subject", event.subject()),
        ("time", time),
        ("datacontenttype", event.data_content_type()),
        ("dataschema", event.data_schema()),
    ];
    for (name, value) in attributes {
        if let Some(value) = value {
            write_name(name, out);
            write_string(out, value);
        }
    }
    for (name, value) in event.extensions() {
        write_name(name, out);
        match value {
            Value::Boolean(_) | Value::Integer(_) => out.push_str(&value.to_text()),
            _ => write_string(out, &value.to_text()),
        }
    }
    if let Some(data) = event.data() {
        write_data(event, data.as_bytes(), out);
    }
    out.push('}');
}

fn write_data(event: &CloudEvent, data: &[u8], out: &mut String) {
    match str::from_utf8(data) {
        Ok(text) if event.data_is_json() && Raw::parse(text).is_ok() => {
            write_name("data", out);
            out.push_str(text);
        }
        Ok(text) if event.data_content_type().is_some_and(is_text) => {
            write_name("data", out);
            write_string(out, text);
        }
        _ => {
            write_name("data_base64", out);
            write_string(out, &base64::encode(data));
        }
    }
}

fn write_name(name: &str, out: &mut String) {
    out.push(',');
    write_string(out, name);
    out.push(':');
}

/// Media types whose UTF-8 data a person would want to read in a JSON event.
fn is_text(media_type: &str) -> bool {
    let essence = essence(media_type).to_ascii_lowercase();
    essence.starts_with("text/") && !is_json(&essence)
        || essence.ends_with("/xml")
        || essence.ends_with("+xml")
}
