//! Texts. Positions and lengths count characters, from 1.

use super::regex::{compile, replace_all};
use super::{Call, Failure, Outcome, Overload, function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Overload] = &[
    function("substring", &["string", "start position"], substring),
    function(
        "substring",
        &["string", "start position", "length"],
        substring,
    ),
    function("string length", &["string"], |call| {
        Ok(Value::from(call.text(0)?.chars().count()))
    }),
    function("upper case", &["string"], |call| {
        Ok(Value::from(call.text(0)?.to_uppercase()))
    }),
    function("lower case", &["string"], |call| {
        Ok(Value::from(call.text(0)?.to_lowercase()))
    }),
    function("substring before", &["string", "match"], substring_before),
    function("substring after", &["string", "match"], substring_after),
    function("replace", &["input", "pattern", "replacement"], replace),
    function(
        "replace",
        &["input", "pattern", "replacement", "flags"],
        replace,
    ),
    function("contains", &["string", "match"], |call| {
        search(call, |text, part| text.contains(part))
    }),
    function("starts with", &["string", "match"], |call| {
        search(call, |text, part| text.starts_with(part))
    }),
    function("ends with", &["string", "match"], |call| {
        search(call, |text, part| text.ends_with(part))
    }),
    function("matches", &["input", "pattern"], matches),
    function("matches", &["input", "pattern", "flags"], matches),
    function("split", &["string", "delimiter"], split),
    function("extract", &["string", "pattern"], extract),
    function("trim", &["string"], |call| {
        Ok(Value::from(call.text(0)?.trim()))
    }),
    function("is blank", &["string"], |call| {
        Ok(Value::Bool(call.text(0)?.trim().is_empty()))
    }),
    function("uuid", &[], uuid),
    function("to base64", &["value"], to_base64),
    function("from base64", &["value"], from_base64),
    function("string join", &["list"], string_join),
    function("string join", &["list", "delimiter"], string_join),
    function(
        "string join",
        &["list", "delimiter", "prefix", "suffix"],
        string_join,
    ),
];

fn substring(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.text(0)?;
    let start = call.integer(1)?;
    let skip = match start {
        1.. => usize::try_from(start - 1).unwrap_or(usize::MAX),
        0 => return Err(Failure::Illegal),
        _ => text
            .chars()
            .count()
            .saturating_sub(usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let take = match call.arguments.len() {
        3 => usize::try_from(call.integer(2)?).map_err(|_| Failure::Illegal)?,
        _ => usize::MAX,
    };
    Ok(Value::from(
        text.chars().skip(skip).take(take).collect::<String>(),
    ))
}

fn search(call: &mut Call<'_, '_>, found: fn(&str, &str) -> bool) -> Outcome {
    let (text, part) = (call.text(0)?, call.text(1)?);
    Ok(Value::Bool(found(&text, &part)))
}

fn substring_before(call: &mut Call<'_, '_>) -> Outcome {
    let (text, part) = (call.text(0)?, call.text(1)?);
    Ok(Value::from(
        text.split_once(part.as_str())
            .map_or("", |(before, _)| before),
    ))
}

fn substring_after(call: &mut Call<'_, '_>) -> Outcome {
    let (text, part) = (call.text(0)?, call.text(1)?);
    Ok(Value::from(
        text.split_once(part.as_str())
            .map_or("", |(_, after)| after),
    ))
}

/// Pattern and text are paid for together: the time is in proportion to both.
fn search_cost(call: &mut Call<'_, '_>, text: &str, pattern: &str) -> Result<(), Failure> {
    Ok(call
        .meter
        .steps(text.len() as u64 * (1 + pattern.len() as u64 / 16) / 8)?)
}

fn flags(call: &mut Call<'_, '_>, at: usize) -> Result<String, Failure> {
    match call.value(at) {
        Value::Null => Ok(String::new()),
        _ => Ok(call.text(at)?.to_string()),
    }
}

fn replace(call: &mut Call<'_, '_>) -> Outcome {
    let (text, pattern, with) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let flags = flags(call, 3)?;
    let regex = compile(call, &pattern, &flags)?;
    search_cost(call, &text, &pattern)?;
    Ok(Value::from(replace_all(call, &regex, &text, &with)?))
}

fn matches(call: &mut Call<'_, '_>) -> Outcome {
    let (text, pattern) = (call.text(0)?, call.text(1)?);
    let flags = flags(call, 2)?;
    let regex = compile(call, &pattern, &flags)?;
    search_cost(call, &text, &pattern)?;
    Ok(Value::Bool(regex.is_match(&text)))
}

fn split(call: &mut Call<'_, '_>) -> Outcome {
    let (text, delimiter) = (call.text(0)?, call.text(1)?);
    let regex = compile(call, &delimiter, "")?;
    search_cost(call, &text, &delimiter)?;
    call.meter.bytes(text.len() as u64 * 2)?;
    Ok(regex.split(&text).map(Value::from).collect())
}

fn extract(call: &mut Call<'_, '_>) -> Outcome {
    let (text, pattern) = (call.text(0)?, call.text(1)?);
    let regex = compile(call, &pattern, "")?;
    search_cost(call, &text, &pattern)?;
    call.meter.bytes(text.len() as u64 * 2)?;
    Ok(regex
        .find_iter(&text)
        .map(|found| Value::from(found.as_str()))
        .collect())
}

/// A version 4 UUID of the sequence that the record's seed begins.
fn uuid(call: &mut Call<'_, '_>) -> Outcome {
    let (high, low) = (call.meter.random(), call.meter.random());
    let version = (high & !0xf000) | 0x4000;
    let variant = (low & !(0b11 << 62)) | (0b10 << 62);
    let text = format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        version >> 32,
        (version >> 16) & 0xffff,
        version & 0xffff,
        variant >> 48,
        variant & 0xffff_ffff_ffff
    );
    Ok(Value::from(text))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.text(0)?;
    let mut out = String::with_capacity(text.len().div_ceil(3) * 4);
    for chunk in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for at in 0..4 {
            let digit = BASE64
                .get((bits >> (18 - 6 * at)) as usize & 0x3f)
                .copied()
                .unwrap_or_default();
            out.push(if at <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    Ok(Value::from(out))
}

fn from_base64(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.text(0)?;
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return Err(Failure::Illegal);
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0u32);
    for digit in digits.bytes() {
        let value = BASE64
            .iter()
            .position(|known| *known == digit)
            .ok_or(Failure::Illegal)?;
        bits = (bits << 6) | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    String::from_utf8(bytes)
        .map(Value::from)
        .map_err(|_| Failure::Illegal)
}

/// Nulls are passed over; anything else that is no text has no place here.
fn string_join(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let optional = |at: usize| match call.value(at) {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(crate::value::Text::default()),
        _ => Err(Failure::Illegal),
    };
    let (delimiter, prefix, suffix) = (optional(1)?, optional(2)?, optional(3)?);
    let texts = list
        .iter()
        .filter(|item| !item.is_null())
        .map(|item| item.as_str().ok_or(Failure::Illegal));
    call.meter.steps(list.len() as u64)?;
    let texts: Vec<&str> = texts.collect::<Result<_, _>>()?;
    let parts: usize = texts.iter().map(|text| text.len()).sum();
    let delimiters = delimiter
        .len()
        .saturating_mul(texts.len().saturating_sub(1));
    call.meter.bytes(parts.saturating_add(delimiters) as u64)?;
    Ok(Value::from(
        [prefix.as_str(), &texts.join(&delimiter), &suffix].concat(),
    ))
}
