//! Writing JSON answers: objects member by member, in the order of the schema.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use kapelle_feel::json::write_string;

/// An object under construction. Every method adds one member.
#[derive(Debug)]
pub(crate) struct Object {
    text: String,
}

impl Object {
    pub(crate) fn new() -> Self {
        Self {
            text: String::from("{"),
        }
    }

    fn name(&mut self, name: &str) -> &mut String {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        write_string(&mut self.text, name);
        self.text.push(':');
        &mut self.text
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        write_string(self.name(name), value);
        self
    }

    /// The text, or null where there is none.
    pub(crate) fn text_or_null(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name),
        }
    }

    pub(crate) fn number(&mut self, name: &str, value: i64) -> &mut Self {
        self.name(name).push_str(&value.to_string());
        self
    }

    /// A key: digits in a string, because JavaScript's numbers end at 2^53.
    pub(crate) fn key(&mut self, name: &str, value: u64) -> &mut Self {
        let text = self.name(name);
        text.push('"');
        text.push_str(&value.to_string());
        text.push('"');
        self
    }

    pub(crate) fn bool(&mut self, name: &str, value: bool) -> &mut Self {
        self.name(name)
            .push_str(if value { "true" } else { "false" });
        self
    }

    pub(crate) fn null(&mut self, name: &str) -> &mut Self {
        self.name(name).push_str("null");
        self
    }

    /// A member whose value is JSON text already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.name(name).push_str(json);
        self
    }

    /// The finished text.
    pub(crate) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// An array of JSON texts.
pub(crate) fn array(items: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::from("[");
    for item in items {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(item.as_ref());
    }
    text.push(']');
    text
}

/// A string as JSON text.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    write_string(&mut quoted, text);
    quoted
}

/// 200 with a JSON body.
pub(crate) fn ok(json: String) -> Response {
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_in_the_order_in_which_they_were_added() {
        let mut object = Object::new();
        object
            .text("a", "x\"y")
            .number("b", -1)
            .key("c", 2_251_799_813_685_249)
            .bool("d", true)
            .null("e")
            .text_or_null("f", None)
            .raw("g", &array(["1", "{}"]));
        assert_eq!(
            object.end(),
            r#"{"a":"x\"y","b":-1,"c":"2251799813685249","d":true,"e":null,"f":null,"g":[1,{}]}"#
        );
        assert_eq!(Object::new().end(), "{}");
    }
}
