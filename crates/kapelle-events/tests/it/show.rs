//! A CloudEvent or an error as text for `expect!`.

use std::fmt::Write as _;

use kapelle_events::{CloudEvent, Error};

pub(crate) fn show(event: &CloudEvent) -> String {
    let mut text = format!(
        "{} | {} | {}\n",
        event.id(),
        event.source(),
        event.event_type()
    );
    let optional = [
        ("subject", event.subject()),
        ("time", event.time().map(kapelle_events::Timestamp::as_str)),
        ("datacontenttype", event.data_content_type()),
        ("dataschema", event.data_schema()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            writeln!(text, "  {name} = {value}").unwrap();
        }
    }
    for (name, value) in event.extensions() {
        writeln!(
            text,
            "  {name} = {} ({})",
            value.to_text(),
            value.kind().as_str()
        )
        .unwrap();
    }
    if let Some(data) = event.data() {
        writeln!(text, "  data = {}", data.as_bytes().escape_ascii()).unwrap();
    }
    text
}

pub(crate) fn show_result(result: Result<CloudEvent, Error>) -> String {
    match result {
        Ok(event) => show(&event),
        Err(error) => show_error(&error),
    }
}

pub(crate) fn show_error(error: &Error) -> String {
    format!("{}: {error}\n", error.code())
}
