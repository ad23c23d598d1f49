//! Attribute names, their typed values and the extensions whose types are known.
//!
//! **Invariant**: a [`Name`] keeps the naming rules; a [`Value`] inside a [`CloudEvent`](crate::CloudEvent) keeps the
//! rules of its type.
//!
//! Transports that only have text (HTTP) lose the type of an extension; the table of [known extensions](known_type)
//! gives it back, so that `expirytime` is a timestamp whatever way it came.

use std::borrow::{Borrow, Cow};
use std::fmt;

use crate::{Error, Kind, Limit, Limits, Timestamp, base64};

/// `correlationid`: what all CloudEvents of one conversation share.
pub const CORRELATION_ID: &str = "correlationid";
/// `causationid`: the id of the CloudEvent that caused this one.
pub const CAUSATION_ID: &str = "causationid";
/// `traceparent` of W3C Trace Context.
pub const TRACE_PARENT: &str = "traceparent";
/// `tracestate` of W3C Trace Context.
pub const TRACE_STATE: &str = "tracestate";
/// `expirytime`: after this the CloudEvent is of no use.
pub const EXPIRY_TIME: &str = "expirytime";
/// `recordedtime`: when a broker stored it.
pub const RECORDED_TIME: &str = "recordedtime";
/// `partitionkey`: what keeps its order.
pub const PARTITION_KEY: &str = "partitionkey";

/// The attributes of the specification itself; no extension may have such a name. `data` is not an attribute, but its
/// name is taken in the JSON format and forbidden for all.
const RESERVED: [&str; 9] = [
    "data",
    "datacontenttype",
    "dataschema",
    "id",
    "source",
    "specversion",
    "subject",
    "time",
    "type",
];

/// The name of an extension: lower-case ASCII letters and digits, none of the specification's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// The type of a [`Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `Boolean`
    Boolean,
    /// `Integer`, 32 bits signed
    Integer,
    /// `String`
    String,
    /// `Binary`
    Binary,
    /// `URI`, absolute
    Uri,
    /// `URI-reference`
    UriReference,
    /// `Timestamp`
    Timestamp,
}

/// A value of the CloudEvents type system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `Boolean`
    Boolean(bool),
    /// `Integer`, 32 bits signed
    Integer(i32),
    /// `String`
    String(Box<str>),
    /// `Binary`
    Binary(Box<[u8]>),
    /// `URI`, absolute
    Uri(Box<str>),
    /// `URI-reference`
    UriReference(Box<str>),
    /// `Timestamp`
    Timestamp(Timestamp),
}

impl Name {
    /// Checks the naming rules and `limits`.
    pub fn new(name: &str, limits: &Limits) -> Result<Self, Error> {
        let invalid = |why| {
            Err(Kind::InvalidName {
                name: name.to_owned(),
                why,
            }
            .into())
        };
        if name.is_empty() {
            return invalid("it is empty");
        }
        if name.len() > limits.name_chars_max {
            let (found, max) = (name.len(), limits.name_chars_max);
            return Err(Kind::TooLarge {
                limit: Limit::NameChars,
                found,
                max,
            }
            .into());
        }
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        {
            return invalid("only lower-case ASCII letters and digits are allowed");
        }
        if is_reserved(name) {
            return invalid("the specification uses it for something else");
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the specification itself uses the name.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The type of an extension that a document of the CloudEvents project defines as something else than a string.
pub fn known_type(name: &str) -> Option<Type> {
    Some(match name {
        EXPIRY_TIME | RECORDED_TIME => Type::Timestamp,
        "dataref" | "deprecationmigration" => Type::UriReference,
        "sampledrate" | "severitynumber" => Type::Integer,
        _ => return None,
    })
}

impl Type {
    /// What a person calls a value of this type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::String => "a string",
            Self::Binary => "binary",
            Self::Uri => "a URI",
            Self::UriReference => "a URI-reference",
            Self::Timestamp => "a timestamp",
        }
    }

    /// Reads the canonical text of a value of this type; the error says what is wrong.
    pub fn parse(self, text: &str) -> Result<Value, &'static str> {
        let value = match self {
            Self::Boolean => match text {
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                _ => return Err("it is neither true nor false"),
            },
            Self::Integer => Value::Integer(text.parse().map_err(|_| "it is no 32-bit integer")?),
            Self::String => Value::String(text.into()),
            Self::Binary => {
                Value::Binary(base64::decode(text).ok_or("it is not valid base64")?.into())
            }
            Self::Uri => Value::Uri(text.into()),
            Self::UriReference => Value::UriReference(text.into()),
            Self::Timestamp => {
                Value::Timestamp(Timestamp::parse(text).ok_or("it is no RFC 3339 timestamp")?)
            }
        };
        value.check()?;
        Ok(value)
    }
}

impl Value {
    /// The type.
    pub fn kind(&self) -> Type {
        match self {
            Self::Boolean(_) => Type::Boolean,
            Self::Integer(_) => Type::Integer,
            Self::String(_) => Type::String,
            Self::Binary(_) => Type::Binary,
            Self::Uri(_) => Type::Uri,
            Self::UriReference(_) => Type::UriReference,
            Self::Timestamp(_) => Type::Timestamp,
        }
    }

    /// The canonical text of the type system, which text-only transports carry.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::String(text) | Self::Uri(text) | Self::UriReference(text) => Cow::Borrowed(text),
            Self::Binary(bytes) => Cow::Owned(base64::encode(bytes)),
            Self::Timestamp(time) => Cow::Borrowed(time.as_str()),
        }
    }

    /// The text of a value that is text without conversion.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::Uri(text) | Self::UriReference(text) => Some(text),
            Self::Timestamp(time) => Some(time.as_str()),
            Self::Boolean(_) | Self::Integer(_) | Self::Binary(_) => None,
        }
    }

    /// Bytes that the value counts for against the limits.
    pub fn size(&self) -> usize {
        match self {
            Self::Boolean(_) => 1,
            Self::Integer(_) => 4,
            Self::Binary(bytes) => bytes.len(),
            Self::String(text) | Self::Uri(text) | Self::UriReference(text) => text.len(),
            Self::Timestamp(time) => time.as_str().len(),
        }
    }

    /// Whether the value keeps the rules of its type; the error says which it breaks.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::String(text) => check_text(text),
            Self::Uri(text) => check_uri(text),
            Self::UriReference(text) => check_uri_reference(text),
            Self::Boolean(_) | Self::Integer(_) | Self::Binary(_) | Self::Timestamp(_) => Ok(()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Timestamp(time)
    }
}

/// Strings have no control characters and no noncharacters (type system, "String").
pub(crate) fn check_text(text: &str) -> Result<(), &'static str> {
    let noncharacter = |character: char| {
        let code = u32::from(character);
        (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
    };
    if text.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    if text.chars().any(noncharacter) {
        return Err("it holds a Unicode noncharacter");
    }
    Ok(())
}

/// URI-references are checked for what would break other systems, not for every production of RFC 3986: producers
/// use non-ASCII letters and characters like `|`, and refusing those would lose CloudEvents that everybody else takes.
pub(crate) fn check_uri_reference(text: &str) -> Result<(), &'static str> {
    check_text(text)?;
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.chars().any(char::is_whitespace) {
        return Err("it holds white space, which a URI can't have");
    }
    Ok(())
}

pub(crate) fn check_uri(text: &str) -> Result<(), &'static str> {
    check_uri_reference(text)?;
    let scheme = text
        .split(':')
        .next()
        .filter(|scheme| scheme.len() < text.len())
        .unwrap_or_default()
        .as_bytes();
    let starts_well = scheme.first().is_some_and(u8::is_ascii_alphabetic);
    if !starts_well
        || !scheme
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
    {
        return Err("it is no absolute URI");
    }
    Ok(())
}

/// `type/subtype` and maybe parameters (RFC 2046); only the part before the parameters is checked.
pub(crate) fn check_media_type(text: &str) -> Result<(), &'static str> {
    check_text(text)?;
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let well_formed = essence(text)
        .split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    if well_formed {
        Ok(())
    } else {
        Err("it is no media type")
    }
}

/// What a header of any protocol can carry as it is.
pub(crate) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// A media type without its parameters.
pub(crate) fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Whether a media type declares JSON: `…/json` or `…+json`.
pub(crate) fn is_json(media_type: &str) -> bool {
    let essence = essence(media_type).as_bytes();
    let ends_with = |suffix: &[u8]| {
        essence
            .len()
            .checked_sub(suffix.len())
            .is_some_and(|start| essence[start..].eq_ignore_ascii_case(suffix))
    };
    ends_with(b"/json") || ends_with(b"+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn names_keep_the_naming_rules() {
        let mut seen = String::new();
        for name in [
            "comexampleext1",
            "7",
            "",
            "Upper",
            "with-hyphen",
            "data",
            "specversion",
            "ünicode",
        ] {
            let answer = Name::new(name, &Limits::DEFAULT)
                .map_or_else(|error| error.to_string(), |name| format!("ok {name}"));
            seen.push_str(&format!("{answer}\n"));
        }
        let too_long = "x".repeat(65);
        seen.push_str(
            &Name::new(&too_long, &Limits::DEFAULT)
                .unwrap_err()
                .to_string(),
        );
        expect![[r#"
            ok comexampleext1
            ok 7
            attribute name "" is invalid: it is empty
            attribute name "Upper" is invalid: only lower-case ASCII letters and digits are allowed
            attribute name "with-hyphen" is invalid: only lower-case ASCII letters and digits are allowed
            attribute name "data" is invalid: the specification uses it for something else
            attribute name "specversion" is invalid: the specification uses it for something else
            attribute name "ünicode" is invalid: only lower-case ASCII letters and digits are allowed
            length of an attribute name is 65, the limit is 64"#]].assert_eq(&seen);
    }

    #[test]
    fn every_type_reads_its_own_canonical_text() {
        let mut seen = String::new();
        for (kind, text) in [
            (Type::Boolean, "true"),
            (Type::Boolean, "True"),
            (Type::Integer, "-2147483648"),
            (Type::Integer, "2147483648"),
            (Type::String, "grüße"),
            (Type::String, "a\u{7f}b"),
            (Type::String, "\u{FDD0}"),
            (Type::Binary, "Zm9v"),
            (Type::Binary, "Zm9"),
            (Type::Uri, "urn:uuid:6e8bc430"),
            (Type::Uri, "/relative"),
            (Type::Uri, "1a:b"),
            (Type::UriReference, "/relative?x=1#y"),
            (Type::UriReference, "my service"),
            (Type::UriReference, ""),
            (Type::Timestamp, "2018-04-05T17:31:00Z"),
            (Type::Timestamp, "yesterday"),
        ] {
            let answer = match kind.parse(text) {
                Ok(value) => {
                    assert_eq!(value.to_text(), text);
                    assert_eq!(value.kind(), kind);
                    "ok"
                }
                Err(why) => why,
            };
            seen.push_str(&format!("{kind:?} {text:?}: {answer}\n"));
        }
        expect![[r#"
            Boolean "true": ok
            Boolean "True": it is neither true nor false
            Integer "-2147483648": ok
            Integer "2147483648": it is no 32-bit integer
            String "grüße": ok
            String "a\u{7f}b": it holds a control character
            String "\u{fdd0}": it holds a Unicode noncharacter
            Binary "Zm9v": ok
            Binary "Zm9": it is not valid base64
            Uri "urn:uuid:6e8bc430": ok
            Uri "/relative": it is no absolute URI
            Uri "1a:b": it is no absolute URI
            UriReference "/relative?x=1#y": ok
            UriReference "my service": it holds white space, which a URI can't have
            UriReference "": it is empty
            Timestamp "2018-04-05T17:31:00Z": ok
            Timestamp "yesterday": it is no RFC 3339 timestamp
        "#]]
        .assert_eq(&seen);
    }

    #[test]
    fn media_types_declare_json_by_their_subtype() {
        for json in [
            "application/json",
            "text/JSON; charset=utf-8",
            "application/vnd.x+json",
            "application/cloudevents+json ;a=b",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "application/xml",
            "json",
            "application/jsonlines",
            "text/plain; x=/json",
            "",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }
}
