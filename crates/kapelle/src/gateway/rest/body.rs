//! Reading JSON requests: strictly, member by member, with an error that names the member.
//!
//! **Invariant**: a member that nobody took is an error ([`Object::finish`]), so a misspelt name is never ignored. `null`
//! is the same as absent. The rules of values are the handlers'; this module knows JSON types and keys only.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use kapelle_feel::json::pull::{Kind, Raw};

use super::problem::Problem;
use crate::gateway::Gateway;

/// Digits of a key at most, its sign not counted.
const KEY_DIGITS_MAX: usize = 25;

/// A key as it is written: digits, perhaps with a sign. One beyond 64 bits is a key that nothing has.
pub(crate) fn parse_key(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_key = (1..=KEY_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_key.then(|| text.parse().unwrap_or(i64::MAX))
}

/// The text of a JSON request.
#[derive(Debug)]
pub(crate) struct JsonText(String);

impl<S: Send + Sync> FromRequest<S> for JsonText
where
    Arc<Gateway>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let gateway = Arc::<Gateway>::from_ref(state);
        let is_json = is_json(request.headers())?;
        let bytes = read(request.into_body(), gateway.message_bytes_max()).await?;
        if !bytes.is_empty() && !is_json {
            return Err(unsupported("none"));
        }
        String::from_utf8(bytes).map(Self).map_err(|_| {
            Problem::http(
                StatusCode::BAD_REQUEST,
                "The request body is not UTF-8.".to_owned(),
            )
        })
    }
}

fn unsupported(found: &str) -> Problem {
    let detail = format!("Content-Type '{found}' is not supported. Supported: application/json.");
    Problem::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// Whether the body is declared as JSON; without a declaration it must be empty.
fn is_json(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(false);
    };
    let value = value.to_str().unwrap_or("not ASCII");
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        Ok(true)
    } else {
        Err(unsupported(value))
    }
}

/// How much of a body that is too large is read and thrown away. A client that is still sending does not see an answer:
/// closing under it would look like a broken connection. Beyond this it is cut off all the same.
const DISCARDED_BYTES_MAX: usize = 128 << 20;

/// The whole body, as long as it is not too long.
pub(crate) async fn read(mut body: Body, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::http(
                StatusCode::BAD_REQUEST,
                format!("The request body could not be read: {error}."),
            )
        })?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        length += data.len();
        if length <= bytes_max {
            bytes.extend_from_slice(data);
        } else if length > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if length > bytes_max {
        Err(too_large(bytes_max))
    } else {
        Ok(bytes)
    }
}

pub(crate) fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("The request is larger than {bytes_max} bytes.");
    Problem::http(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

impl JsonText {
    #[cfg(test)]
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it came.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The object that the request must be.
    pub(crate) fn object(&self) -> Result<Object<'_>, Problem> {
        if self.0.trim_ascii().is_empty() {
            return Err(malformed("Required request body is missing.".to_owned()));
        }
        Object::parse(&self.0)
    }

    /// The object of a request that may be empty.
    pub(crate) fn object_or_empty(&self) -> Result<Object<'_>, Problem> {
        if self.0.trim_ascii().is_empty() {
            Ok(Object::empty())
        } else {
            Object::parse(&self.0)
        }
    }
}

fn malformed(detail: String) -> Problem {
    Problem::http(StatusCode::BAD_REQUEST, detail)
}

fn escaped_half_surrogate(name: &str) -> Problem {
    malformed(format!(
        "Request property [{name}] cannot be parsed: it escapes half of a character."
    ))
}

/// A JSON object whose members are taken one after the other.
#[derive(Debug)]
pub(crate) struct Object<'t> {
    /// Where it is in the request, for messages: empty, or `changeset.`
    path: String,
    members: Vec<(Cow<'t, str>, Raw<'t>)>,
}

impl<'t> Object<'t> {
    fn empty() -> Self {
        Self {
            path: String::new(),
            members: Vec::new(),
        }
    }

    fn parse(text: &'t str) -> Result<Self, Problem> {
        let raw = Raw::parse(text)
            .map_err(|error| malformed(format!("The request body is no JSON: {error}.")))?;
        if raw.kind() != Kind::Object {
            return Err(malformed(format!(
                "The request body must be a JSON object, not {}.",
                raw.kind().as_str()
            )));
        }
        Self::read(raw, String::new())
    }

    fn read(raw: Raw<'t>, path: String) -> Result<Self, Problem> {
        let mut members: Vec<(Cow<'t, str>, Raw<'t>)> = Vec::new();
        for (name, value) in raw.members() {
            let name = name
                .as_str()
                .ok_or_else(|| escaped_half_surrogate(name.text()))?;
            if members.iter().any(|(other, _)| *other == name) {
                return Err(malformed(format!(
                    "Request property [{path}{name}] is given twice."
                )));
            }
            members.push((name, value));
        }
        Ok(Self { path, members })
    }

    /// The member, if it is there and not null.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Raw<'t>> {
        let index = self.members.iter().position(|(member, _)| member == name)?;
        let (_, value) = self.members.swap_remove(index);
        (value.kind() != Kind::Null).then_some(value)
    }

    fn wrong_type(&self, name: &str, expected: &str, found: Raw<'_>) -> Problem {
        let (path, found) = (&self.path, found.kind().as_str());
        malformed(format!(
            "Request property [{path}{name}] cannot be parsed: expected {expected}, found {found}."
        ))
    }

    fn of_kind(&mut self, name: &str, kind: Kind) -> Result<Option<Raw<'t>>, Problem> {
        match self.raw(name) {
            Some(value) if value.kind() != kind => Err(self.wrong_type(name, kind.as_str(), value)),
            value => Ok(value),
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<Cow<'t, str>>, Problem> {
        let Some(value) = self.of_kind(name, Kind::String)? else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| escaped_half_surrogate(name))
    }

    pub(crate) fn bool(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        Ok(self.of_kind(name, Kind::Bool)?.and_then(Raw::as_bool))
    }

    pub(crate) fn i64(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(value) = self.of_kind(name, Kind::Number)? else {
            return Ok(None);
        };
        let whole = value.text().parse().ok();
        whole.map(Some).ok_or_else(|| {
            let (path, text) = (&self.path, value.text());
            malformed(format!(
                "Request property [{path}{name}] cannot be parsed: expected a whole number of 64 bits, found {text}."
            ))
        })
    }

    pub(crate) fn i32(&mut self, name: &str) -> Result<Option<i32>, Problem> {
        let Some(value) = self.i64(name)? else {
            return Ok(None);
        };
        i32::try_from(value).map(Some).map_err(|_| {
            let path = &self.path;
            malformed(format!(
                "Request property [{path}{name}] cannot be parsed: expected a whole number of 32 bits, found {value}."
            ))
        })
    }

    /// A key: a string of digits. A bare number is refused, as Camunda does: it has been rounded somewhere already.
    pub(crate) fn key(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        parse_key(&text).map(Some).ok_or_else(|| {
            Problem::invalid(format!(
                "The provided {}{name} '{text}' is not a valid key: expected digits.",
                self.path
            ))
        })
    }

    /// A list of strings; empty when absent.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<Cow<'t, str>>, Problem> {
        let Some(list) = self.of_kind(name, Kind::Array)? else {
            return Ok(Vec::new());
        };
        list.elements()
            .map(|element| match element.kind() {
                Kind::String => element.as_str().ok_or_else(|| escaped_half_surrogate(name)),
                _ => Err(self.wrong_type(name, "an array of strings", element)),
            })
            .collect()
    }

    /// A list of whatever; empty when absent.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<Raw<'t>>, Problem> {
        let list = self.of_kind(name, Kind::Array)?;
        Ok(list
            .map(|list| list.elements().collect())
            .unwrap_or_default())
    }

    /// The JSON text of an object.
    pub(crate) fn optional_object_text(&mut self, name: &str) -> Result<Option<&'t str>, Problem> {
        Ok(self.of_kind(name, Kind::Object)?.map(Raw::text))
    }

    /// The JSON text of an object; `{}` when absent.
    pub(crate) fn object_text(&mut self, name: &str) -> Result<&'t str, Problem> {
        Ok(self.optional_object_text(name)?.unwrap_or("{}"))
    }

    /// An object inside of this one.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, Problem> {
        let Some(value) = self.of_kind(name, Kind::Object)? else {
            return Ok(None);
        };
        Self::read(value, format!("{}{name}.", self.path)).map(Some)
    }

    /// Takes members that are read by nobody on purpose: they change nothing here.
    pub(crate) fn ignore(&mut self, name: &str) {
        self.raw(name);
    }

    /// All members were taken, else the first one left is named.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.members.first() {
            None => Ok(()),
            Some((name, _)) => {
                let path = self.path;
                Err(malformed(format!(
                    "Request property [{path}{name}] cannot be parsed: there is no such property."
                )))
            }
        }
    }
}

/// Collects what is wrong with the values of a request, so that the caller reads all of it at once.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<String>);

impl Violations {
    /// A required member; `value`'s default stands in while the checks go on.
    pub(crate) fn required<T: Default>(&mut self, name: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.0.push(format!("No {name} provided."));
            T::default()
        })
    }

    /// A required text that is not blank.
    pub(crate) fn required_text<'t>(
        &mut self,
        name: &str,
        value: Option<Cow<'t, str>>,
    ) -> Cow<'t, str> {
        self.required(name, value.filter(|text| !text.trim().is_empty()))
    }

    /// A rule about a value that is there.
    pub(crate) fn must(
        &mut self,
        holds: bool,
        name: &str,
        value: &dyn std::fmt::Display,
        rule: &str,
    ) {
        if !holds {
            self.0.push(format!(
                "The value for {name} is '{value}' but must be {rule}."
            ));
        }
    }

    /// Nothing was wrong, else all of it in one problem.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.0.join(" ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Reads a request as a handler would; shows what was read, or the problem.
    fn check(text: &str, expected: Expect) {
        let text = JsonText::new(text);
        let seen = read_all(&text).unwrap_or_else(|problem| format!("{problem:?}"));
        expected.assert_eq(&seen);
    }

    fn read_all(text: &JsonText) -> Result<String, Problem> {
        let mut request = text.object()?;
        let name = request.text("name")?;
        let key = request.key("key")?;
        let number = request.i64("number")?;
        let small = request.i32("small")?;
        let flag = request.bool("flag")?;
        let list = request.texts("list")?;
        let variables = request.optional_object_text("variables")?;
        let mut inner = None;
        if let Some(mut object) = request.object("inner")? {
            inner = object.i32("retries")?;
            object.finish()?;
        }
        request.ignore("operationReference");
        request.finish()?;
        Ok(format!(
            "{name:?} {key:?} {number:?} {small:?} {flag:?} {list:?} {variables:?} {inner:?}"
        ))
    }

    #[test]
    fn members_come_in_any_order_and_null_is_absent() {
        check(
            r#" { "variables" : { "a" : 1 }, "flag": true, "small": -3, "number": 9007199254740993, "name": "\u00e4",
                "key": "2251799813685249", "list": ["x", "y"], "inner": {"retries": 2}, "operationReference": 7 } "#,
            expect![[
                r#"Some("ä") Some(2251799813685249) Some(9007199254740993) Some(-3) Some(true) ["x", "y"] Some("{ \"a\" : 1 }") Some(2)"#
            ]],
        );
        check(
            r#"{"name":null,"inner":null,"list":null}"#,
            expect!["None None None None None [] None None"],
        );
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        let mut seen = String::new();
        for text in [
            "",
            "[]",
            "{",
            r#"{"nme":"x"}"#,
            r#"{"inner":{"retires":1}}"#,
            r#"{"name":1}"#,
            r#"{"key":2251799813685249}"#,
            r#"{"key":"12a"}"#,
            r#"{"number":1.5}"#,
            r#"{"number":9223372036854775808}"#,
            r#"{"small":2147483648}"#,
            r#"{"flag":"true"}"#,
            r#"{"list":["a",1]}"#,
            r#"{"list":"a"}"#,
            r#"{"variables":[1]}"#,
            r#"{"inner":{"retries":"1"}}"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"\ud800"}"#,
        ] {
            let problem = read_all(&JsonText::new(text)).unwrap_err();
            seen.push_str(&format!(
                "{text}\n    {} {}\n",
                problem.status().as_u16(),
                problem.detail()
            ));
        }
        expect![[r#"

                400 Required request body is missing.
            []
                400 The request body must be a JSON object, not an array.
            {
                400 The request body is no JSON: expected a member name at byte 1.
            {"nme":"x"}
                400 Request property [nme] cannot be parsed: there is no such property.
            {"inner":{"retires":1}}
                400 Request property [inner.retires] cannot be parsed: there is no such property.
            {"name":1}
                400 Request property [name] cannot be parsed: expected a string, found a number.
            {"key":2251799813685249}
                400 Request property [key] cannot be parsed: expected a string, found a number.
            {"key":"12a"}
                400 The provided key '12a' is not a valid key: expected digits.
            {"number":1.5}
                400 Request property [number] cannot be parsed: expected a whole number of 64 bits, found 1.5.
            {"number":9223372036854775808}
                400 Request property [number] cannot be parsed: expected a whole number of 64 bits, found 9223372036854775808.
            {"small":2147483648}
                400 Request property [small] cannot be parsed: expected a whole number of 32 bits, found 2147483648.
            {"flag":"true"}
                400 Request property [flag] cannot be parsed: expected a boolean, found a string.
            {"list":["a",1]}
                400 Request property [list] cannot be parsed: expected an array of strings, found a number.
            {"list":"a"}
                400 Request property [list] cannot be parsed: expected an array, found a string.
            {"variables":[1]}
                400 Request property [variables] cannot be parsed: expected an object, found an array.
            {"inner":{"retries":"1"}}
                400 Request property [inner.retries] cannot be parsed: expected a number, found a string.
            {"name":"a","name":"b"}
                400 Request property [name] is given twice.
            {"name":"\ud800"}
                400 Request property [name] cannot be parsed: it escapes half of a character.
        "#]].assert_eq(&seen);
    }

    #[test]
    fn violations_are_told_together() {
        let mut violations = Violations::default();
        let name = violations.required_text("name", Some(Cow::Borrowed("  ")));
        violations.required::<i64>("timeout", None);
        violations.must(false, "retries", &-1, "positive");
        assert_eq!(name, "");
        let problem = violations.finish().unwrap_err();
        expect![[r#"
            Problem { status: 400, title: "INVALID_ARGUMENT", detail: "No name provided. No timeout provided. The value for retries is '-1' but must be positive.", extra: [] }"#]]
        .assert_eq(&format!("{problem:?}"));
    }

    #[test]
    fn a_key_beyond_64_bits_is_one_that_nothing_has() {
        assert_eq!(parse_key("9999999999999999999999999"), Some(i64::MAX));
        assert_eq!(parse_key("-1"), Some(-1));
        for nonsense in [
            "",
            "-",
            "+1",
            " 1",
            "1.0",
            "0x1",
            "99999999999999999999999999",
        ] {
            assert_eq!(parse_key(nonsense), None, "{nonsense}");
        }
    }
}
