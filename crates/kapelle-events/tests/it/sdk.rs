//! What the official SDKs send, as they wrote it (PyPI `cloudevents` 2.2.0, npm `cloudevents` 10.0.0). Neither encodes
//! header values by the binding's rules: they send UTF-8 and bare `%` and `"`, so those must be understood too.

use expect_test::expect;
use kapelle_events::{Limits, http};

use crate::show::{show, show_error};

fn decode(headers: &[(&str, &str)], body: &[u8]) -> String {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    match http::decode(headers, body, &Limits::DEFAULT) {
        Ok((_, events)) => events.iter().map(show).collect(),
        Err(error) => show_error(&error),
    }
}

#[test]
fn cloud_events_of_the_python_sdk_are_read() {
    let seen = [
        decode(
            &[
                ("content-type", "application/json"),
                ("ce-specversion", "1.0"),
                ("ce-id", "A1"),
                ("ce-source", "/my/context"),
                ("ce-type", "com.example.Größe"),
                ("ce-subject", "50% \"of\" it"),
                ("ce-time", "2018-04-05T17:31:00Z"),
                ("ce-comexampleext", "Euro € 😀"),
            ],
            br#"{"b": 1.0, "a": ["\u00e4"]}"#,
        ),
        decode(
            &[("content-type", "application/cloudevents+json")],
            br#"{"specversion": "1.0", "id": "A1", "source": "/my/context", "type": "com.example.Gr\u00f6\u00dfe", "datacontenttype": "application/json", "subject": "50% \"of\" it", "time": "2018-04-05T17:31:00Z", "data": {"b": 1.0, "a": ["\u00e4"]}, "comexampleext": "Euro \u20ac \ud83d\ude00"}"#,
        ),
        decode(
            &[("content-type", "application/cloudevents+json")],
            br#"{"specversion": "1.0", "id": "A2", "source": "/s", "type": "t", "datacontenttype": "application/octet-stream", "time": "2018-04-05T17:31:00+00:00", "data_base64": "AP8="}"#,
        ),
    ]
    .concat();
    expect![[r#"
        A1 | /my/context | com.example.Größe
          subject = 50% "of" it
          time = 2018-04-05T17:31:00Z
          datacontenttype = application/json
          comexampleext = Euro € 😀 (a string)
          data = {\"b\": 1.0, \"a\": [\"\\u00e4\"]}
        A1 | /my/context | com.example.Größe
          subject = 50% "of" it
          time = 2018-04-05T17:31:00Z
          datacontenttype = application/json
          comexampleext = Euro € 😀 (a string)
          data = {\"b\": 1.0, \"a\": [\"\\u00e4\"]}
        A2 | /s | t
          time = 2018-04-05T17:31:00+00:00
          datacontenttype = application/octet-stream
          data = \x00\xff
    "#]]
    .assert_eq(&seen);
}

#[test]
fn cloud_events_of_the_node_sdk_are_read() {
    let seen = [
        decode(
            &[
                ("content-type", "application/json"),
                ("ce-id", "A1"),
                ("ce-time", "2018-04-05T17:31:00.000Z"),
                ("ce-type", "com.example.Größe"),
                ("ce-source", "/my/context"),
                ("ce-specversion", "1.0"),
                ("ce-subject", "50% \"of\" it"),
                ("ce-comexampleint", "5"),
                ("ce-comexamplebool", "true"),
            ],
            r#"{"b":1.5,"a":["ä"]}"#.as_bytes(),
        ),
        decode(
            &[("content-type", "application/cloudevents+json; charset=utf-8")],
            r#"{"id":"A1","time":"2018-04-05T17:31:00.000Z","type":"com.example.Größe","source":"/my/context","specversion":"1.0","datacontenttype":"application/json","subject":"50% \"of\" it","data":{"b":1.5,"a":["ä"]},"comexampleext":"Euro € 😀","comexampleint":5,"comexamplebool":true}"#.as_bytes(),
        ),
    ]
    .concat();
    expect![[r#"
        A1 | /my/context | com.example.Größe
          subject = 50% "of" it
          time = 2018-04-05T17:31:00.000Z
          datacontenttype = application/json
          comexamplebool = true (a string)
          comexampleint = 5 (a string)
          data = {\"b\":1.5,\"a\":[\"\xc3\xa4\"]}
        A1 | /my/context | com.example.Größe
          subject = 50% "of" it
          time = 2018-04-05T17:31:00.000Z
          datacontenttype = application/json
          comexamplebool = true (a boolean)
          comexampleext = Euro € 😀 (a string)
          comexampleint = 5 (an integer)
          data = {\"b\":1.5,\"a\":[\"\xc3\xa4\"]}
    "#]]
    .assert_eq(&seen);
}
