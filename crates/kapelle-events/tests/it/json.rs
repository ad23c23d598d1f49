//! The JSON event format and batches.

use expect_test::expect;
use kapelle_events::{CloudEvent, Limits, json};

use crate::show::{show, show_error, show_result};
use crate::{full, minimal, varied};

fn decode(text: &str) -> String {
    show_result(json::decode(text.as_bytes(), &Limits::DEFAULT))
}

#[test]
fn examples_of_the_specification_are_read() {
    // JSON event format 1.0.2, §3.2: an event with JSON data, XML as text, binary data, and an extension.
    let seen = [
        r#"{
            "specversion" : "1.0",
            "type" : "com.example.someevent",
            "source" : "/mycontext",
            "subject": null,
            "id" : "C234-1234-1234",
            "time" : "2018-04-05T17:31:00Z",
            "comexampleextension1" : "value",
            "comexampleothervalue" : 5,
            "datacontenttype" : "application/json",
            "data" : {
                "appinfoA" : "abc",
                "appinfoB" : 123,
                "appinfoC" : true
            }
        }"#,
        r#"{
            "specversion" : "1.0",
            "type" : "com.example.someevent",
            "source" : "/mycontext",
            "id" : "B234-1234-1234",
            "time" : "2018-04-05T17:31:00Z",
            "unsetextension": null,
            "datacontenttype" : "application/xml",
            "data" : "<much wow=\"xml\"/>"
        }"#,
        r#"{
            "specversion" : "1.0",
            "type" : "com.example.someevent",
            "source" : "/mycontext",
            "id" : "A234-1234-1234",
            "comexampleextension1" : "value",
            "datacontenttype" : "application/vnd.apache.thrift.binary",
            "data_base64" : "AAEC/w=="
        }"#,
        r#"{"specversion":"1.0","type":"t","source":"/s","id":"D","data":"a string without a content type is JSON"}"#,
    ]
    .map(decode)
    .concat();
    expect![[r#"
        C234-1234-1234 | /mycontext | com.example.someevent
          time = 2018-04-05T17:31:00Z
          datacontenttype = application/json
          comexampleextension1 = value (a string)
          comexampleothervalue = 5 (an integer)
          data = {\n                \"appinfoA\" : \"abc\",\n                \"appinfoB\" : 123,\n                \"appinfoC\" : true\n            }
        B234-1234-1234 | /mycontext | com.example.someevent
          time = 2018-04-05T17:31:00Z
          datacontenttype = application/xml
          data = <much wow=\"xml\"/>
        A234-1234-1234 | /mycontext | com.example.someevent
          datacontenttype = application/vnd.apache.thrift.binary
          comexampleextension1 = value (a string)
          data = \x00\x01\x02\xff
        D | /s | t
          data = \"a string without a content type is JSON\"
    "#]].assert_eq(&seen);
}

#[test]
fn data_keeps_its_bytes() {
    for data in [
        "{ \"b\" : 1.0,\"a\":1e400 , \"b\":\"\\ud800\"}",
        "1.00",
        "\"\\u0041\"",
        "null",
        "[ ]",
        "12345678901234567890123",
    ] {
        let text = format!(
            r#" {{"data" :  {data}  ,"specversion":"1.0","id":"1","source":"/s","type":"t"}} "#
        );
        let event = json::decode(text.as_bytes(), &Limits::DEFAULT).unwrap();
        assert_eq!(event.data().unwrap().as_bytes(), data.as_bytes());
        let again = json::decode(&json::encode(&event), &Limits::DEFAULT).unwrap();
        assert_eq!(again, event);
    }
}

#[test]
fn golden_bytes_of_structured_mode_and_batch() {
    expect![[r#"{"specversion":"1.0","id":"A234-1234-1234","source":"/mycontext/größe","type":"com.example.someevent","subject":"order 50% \"x\"","time":"2018-04-05T17:31:00.250+02:00","datacontenttype":"application/json","dataschema":"https://example.com/schema?a=b#c","causationid":"cause-1","comexamplebinary":"AAH+/w==","comexampleflag":true,"comexamplenumber":-7,"comexampletext":"€ 5","correlationid":"conversation-1","dataref":"/claims/1","expirytime":"2018-04-06T00:00:00Z","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{ "b":1.0, "a" : [1e2 ,"\u00e4"]}}"#]].assert_eq(str::from_utf8(&json::encode(&full())).unwrap());
    let batch = json::encode_batch(&varied()[1..]);
    expect![[r#"
        [{"specversion":"1.0","id":"1","source":"/s","type":"t"},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":null},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":"text"},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data_base64":"bm90IGpzb24="},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data_base64":"/w=="},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/vnd.example+json; charset=utf-8","data":[1, 2]},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"line\n\"ü\"\u0000"},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data_base64":"/2JpbmFyeQ=="},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/xml","data":"<a/>"},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/octet-stream","data_base64":"AJ+Slg=="},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}},
        {"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"bm8ganNvbg=="}]"#]].assert_eq(str::from_utf8(&batch).unwrap().replace("},{", "},\n{").as_str());
    assert_eq!(json::encode_batch([]), b"[]");
}

#[test]
fn what_is_written_is_read_back() {
    for event in varied() {
        assert_eq!(
            untyped(&json::decode(&json::encode(&event), &Limits::DEFAULT).unwrap()),
            untyped(&event)
        );
    }
    let events = varied();
    let again = json::decode_batch(&json::encode_batch(&events), &Limits::DEFAULT).unwrap();
    assert_eq!(
        again.iter().map(untyped).collect::<Vec<_>>(),
        events.iter().map(untyped).collect::<Vec<_>>()
    );
}

/// JSON has no binary extensions: they come back as text.
fn untyped(event: &CloudEvent) -> String {
    show(event).replace("(binary)", "(a string)")
}

#[test]
fn malformed_events_get_a_precise_error() {
    let with = |members: &str| {
        decode(&format!(
            r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{members}}}"#
        ))
    };
    let seen = [
        decode(""),
        decode("{"),
        decode("[]"),
        decode("17"),
        decode("{}"),
        decode(r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#),
        decode(r#"{"id":5,"specversion":"0.3"}"#),
        decode(r#"{"specversion":1.0,"id":"1"}"#),
        decode(r#"{"specversion":"1.0"}"#),
        decode(r#"{"specversion":"1.0","id":"1"}"#),
        decode(r#"{"specversion":"1.0","id":"1","source":"/s"}"#),
        decode(r#"{"specversion":"1.0","id":"1","source":"/s","type":null}"#),
        decode(r#"{"id":"1","source":"/s","type":"t"}"#),
        with(r#","id":"2""#),
        with(r#","ext":"a","ext":"b""#),
        with(r#","specversion":"1.0""#),
        with(r#","subject":7"#),
        with(r#","time":true"#),
        with(r#","time":"2018-04-05""#),
        with(r#","ext":{}"#),
        with(r#","ext":[1]"#),
        with(r#","ext":1.5"#),
        with(r#","ext":2147483648"#),
        with(r#","ext":"\ud800""#),
        with(r#","my_ext":"a""#),
        with(r#","MyExt":"a""#),
        with(r#","":"a""#),
        with(r#","\udc00":"a""#),
        with(r#","data":1,"data_base64":"AA==""#),
        with(r#","data":1,"data":2"#),
        with(r#","data_base64":"A""#),
        with(r#","data_base64":5"#),
        with(r#","datacontenttype":"text/plain","data":{}"#),
        with(r#","datacontenttype":"text/plain","data":"\ud800""#),
        with(r#","dataschema":"x""#),
        show_error(&json::decode(b"{\"id\":\"\xff\"}", &Limits::DEFAULT).unwrap_err()),
    ]
    .concat();
    expect![[r#"
        KAP-CE-003: malformed JSON at byte 0: expected a value
        KAP-CE-003: malformed JSON at byte 1: expected a member name
        KAP-CE-015: a CloudEvent is a JSON object, found an array
        KAP-CE-015: a CloudEvent is a JSON object, found a number
        KAP-CE-004: required attribute "specversion" is missing
        KAP-CE-005: specversion "0.3" is not supported, expected "1.0"
        KAP-CE-005: specversion "0.3" is not supported, expected "1.0"
        KAP-CE-008: attribute "specversion" has the wrong type: expected a string, found a number
        KAP-CE-004: required attribute "id" is missing
        KAP-CE-004: required attribute "source" is missing
        KAP-CE-004: required attribute "type" is missing
        KAP-CE-004: required attribute "type" is missing
        KAP-CE-004: required attribute "specversion" is missing
        KAP-CE-009: attribute "id" occurs more than once
        KAP-CE-009: attribute "ext" occurs more than once
        KAP-CE-009: attribute "specversion" occurs more than once
        KAP-CE-008: attribute "subject" has the wrong type: expected a string, found a number
        KAP-CE-008: attribute "time" has the wrong type: expected a timestamp, found a boolean
        KAP-CE-007: attribute "time" is invalid: it is no RFC 3339 timestamp
        KAP-CE-008: attribute "ext" has the wrong type: expected a string, a boolean or an integer, found an object
        KAP-CE-008: attribute "ext" has the wrong type: expected a string, a boolean or an integer, found an array
        KAP-CE-007: attribute "ext" is invalid: it is no 32-bit integer
        KAP-CE-007: attribute "ext" is invalid: it is no 32-bit integer
        KAP-CE-007: attribute "ext" is invalid: it holds half a surrogate pair
        KAP-CE-006: attribute name "my_ext" is invalid: only lower-case ASCII letters and digits are allowed
        KAP-CE-006: attribute name "MyExt" is invalid: only lower-case ASCII letters and digits are allowed
        KAP-CE-006: attribute name "" is invalid: it is empty
        KAP-CE-006: attribute name "\udc00" is invalid: it holds half a surrogate pair
        KAP-CE-011: both "data" and "data_base64" are present
        KAP-CE-009: attribute "data" occurs more than once
        KAP-CE-012: "data_base64" is not valid base64
        KAP-CE-008: attribute "data_base64" has the wrong type: expected a string, found a number
        KAP-CE-008: attribute "data" has the wrong type: expected a string, found an object
        KAP-CE-007: attribute "data" is invalid: it holds half a surrogate pair
        KAP-CE-007: attribute "dataschema" is invalid: it is no absolute URI
        KAP-CE-010: the JSON text at byte 7 is not valid UTF-8
    "#]].assert_eq(&seen);
}

#[test]
fn a_bad_entry_of_a_batch_is_named() {
    let good = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let limits = Limits {
        batch_events_max: 3,
        batch_bytes_max: 300,
        ..Limits::DEFAULT
    };
    let decode = |text: &str| match json::decode_batch(text.as_bytes(), &limits) {
        Ok(events) => format!("{} events\n", events.len()),
        Err(error) => show_error(&error),
    };
    let seen = [
        decode("[]"),
        decode(&format!("[{good}]")),
        decode(&format!("[{good},{good},{good}]")),
        decode(&format!("[{good},{good},{good},{good}]")),
        decode(&format!("[{good},{{}}]")),
        decode(&format!("[{good},{good},5]")),
        decode(&format!("[{good},]")),
        decode(good),
        decode(&format!("[{}]", " ".repeat(300))),
    ]
    .concat();
    expect![[r#"
        0 events
        1 events
        3 events
        KAP-CE-013: number of CloudEvents in the batch is 4, the limit is 3
        KAP-CE-004: batch entry 1: required attribute "specversion" is missing
        KAP-CE-015: batch entry 2: a CloudEvent is a JSON object, found a number
        KAP-CE-003: malformed JSON at byte 57: expected a value
        KAP-CE-014: a batch is a JSON array of CloudEvents, found an object
        KAP-CE-013: size of the batch is 302, the limit is 300
    "#]]
    .assert_eq(&seen);
}

#[test]
fn explicit_nulls_are_absent_attributes() {
    let text = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":null,"ext":null,"data_base64":null}"#;
    assert_eq!(
        json::decode(text.as_bytes(), &Limits::DEFAULT).unwrap(),
        minimal()
    );
}
