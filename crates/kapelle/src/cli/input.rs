//! What arguments mean: JSON given directly, from a file or from standard input; times; keys.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use kapelle_feel::msgpack;

use super::failure::Failure;
use crate::client::Document;
use crate::config::Span;

/// Bytes of a file; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    bytes.map_err(|error| Failure::unreadable(path, &error))
}

/// JSON as it stands, or what `@FILE` holds.
pub(crate) fn json(text: &str, flag: &str) -> Result<Document, Failure> {
    let bytes = match text.strip_prefix('@') {
        Some(file) => read(Path::new(file))?,
        None => text.as_bytes().to_vec(),
    };
    Document::parse(&bytes).map_err(|error| {
        Failure::usage(format!("the value of {flag} is not JSON"))
            .why(error.to_string())
            .hint(format!(
                "quote it for the shell: {flag} '{{\"name\": 1}}', or give {flag} @FILE"
            ))
    })
}

/// A JSON object; an empty one if nothing was given.
pub(crate) fn variables(text: Option<&str>) -> Result<Document, Failure> {
    let Some(text) = text else {
        return Ok(Document::parse(b"{}").expect("invariant: an empty object is JSON"));
    };
    let document = json(text, "--variables")?;
    match msgpack::kind(document.stored()) {
        Some(msgpack::Kind::Map) => Ok(document),
        _ => Err(
            Failure::usage("the value of --variables is not a JSON object").why(document.to_json()),
        ),
    }
}

/// A time such as `30s`.
pub(crate) fn span(text: &str, flag: &str) -> Result<Duration, Failure> {
    let span: Span = text
        .parse()
        .map_err(|why| Failure::usage(format!("the value of {flag} {why}")))?;
    Ok(span.0)
}

/// Keys, without the resource word that may stand before them: `cancel pi KEY` reads like `list pi`.
pub(crate) fn keys(words: Vec<String>, nouns: &[&str]) -> Result<Vec<String>, Failure> {
    let skip = usize::from(
        words.len() > 1
            && words
                .first()
                .is_some_and(|word| nouns.contains(&word.as_str())),
    );
    let keys: Vec<String> = words.into_iter().skip(skip).collect();
    keys.iter().try_for_each(|word| key(word))?;
    Ok(keys)
}

/// A key is a number; anything else would not even reach the right operation.
pub(crate) fn key(word: &str) -> Result<(), Failure> {
    if !word.is_empty() && word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(Failure::usage(format!("{word:?} is not a key"))
        .hint("keys are numbers; `kapelle list` shows them"))
}

/// Text as part of a query.
pub(crate) fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
