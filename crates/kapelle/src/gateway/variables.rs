//! Variables between JSON text on the wire and their stored form.
//!
//! **Invariant**: a [`Document`] made here is one map from name to value; the engine trusts that shape. Converting
//! happens on the request's task, never on the writer's thread.

use std::sync::Arc;

use kapelle_engine::document::Document;
use kapelle_feel::json;

use super::failure::Failure;

/// The document of a JSON object. Empty text stands for no variables, and so does `null`, as some clients send it.
pub(crate) fn parse(text: &str) -> Result<Document, Failure> {
    let text = text.trim_ascii();
    if text.is_empty() || text == "{}" || text == "null" {
        return Ok(Document::empty());
    }
    let stored = json::to_msgpack(text.as_bytes()).map_err(|error| {
        Failure::Invalid(format!(
            "Expected the variables to be a JSON object, but they are no JSON: {error}"
        ))
    })?;
    if !text.starts_with('{') {
        let kind = match text.as_bytes().first() {
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            _ => "a number",
        };
        return Err(Failure::Invalid(format!(
            "Expected the variables to be a JSON object, but they are {kind}"
        )));
    }
    Ok(Document(Arc::from(stored)))
}

/// The JSON text of a document.
pub(crate) fn render(document: &Document) -> String {
    if document.is_empty() {
        "{}".to_owned()
    } else {
        json::from_msgpack(&document.0)
    }
}

/// Task headers as the JSON text of an object, which is how gRPC and REST carry them.
pub(crate) fn render_headers(headers: &[(Arc<str>, Arc<str>)]) -> String {
    let mut text = String::from("{");
    for (index, (key, value)) in headers.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        json::write_string(&mut text, key);
        text.push(':');
        json::write_string(&mut text, value);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let seen =
            parse(text).map_or_else(|failure| failure.to_string(), |document| render(&document));
        expected.assert_eq(&seen);
    }

    #[test]
    fn only_an_object_is_a_set_of_variables() {
        check("", expect!["{}"]);
        check(" null ", expect!["{}"]);
        check(
            r#" { "b" : 1, "a" : [ 1.5, {"x": null} ] } "#,
            expect![[r#"{"b":1,"a":[1.5,{"x":null}]}"#]],
        );
        check(
            "[1]",
            expect!["Expected the variables to be a JSON object, but they are an array"],
        );
        check(
            "\"a\"",
            expect!["Expected the variables to be a JSON object, but they are a string"],
        );
        check(
            "true",
            expect!["Expected the variables to be a JSON object, but they are a boolean"],
        );
        check(
            "-1",
            expect!["Expected the variables to be a JSON object, but they are a number"],
        );
        check(
            "{a:1}",
            expect![
                "Expected the variables to be a JSON object, but they are no JSON: expected a name in quotes at line 1 column 2"
            ],
        );
    }

    #[test]
    fn headers_are_an_object_of_texts() {
        let headers = [
            (Arc::from("a\"b"), Arc::from("ü")),
            (Arc::from("n"), Arc::from("1")),
        ];
        expect![[r#"{"a\"b":"ü","n":"1"}"#]].assert_eq(&render_headers(&headers));
    }
}
