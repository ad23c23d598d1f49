//! Java's regular expressions, as far as they can be matched in linear time.
//!
//! Look-around and back-references cannot; a pattern with them is refused with a reason, never matched by backtracking.

use regex::{Regex, RegexBuilder};

use super::{Call, Failure};

/// A compiled pattern may take this much memory. Patterns that people write take a few kilobytes.
const BYTES_MAX: usize = 256 << 10;

/// What compiling costs in steps: 20 to 200 µs, and some milliseconds where counted repetition makes a pattern large.
const STEPS: u64 = 2_000;
const STEPS_REPEATED: u64 = 20_000;

/// A compiled pattern and what it was compiled of.
pub(crate) struct Pattern {
    text: String,
    flags: String,
    regex: Regex,
}

/// The regular expression of a call. That it may be there already changes the time it takes, not what it is charged:
/// a limit must be reached at the same place every time.
pub(super) fn compile(
    call: &mut Call<'_, '_>,
    pattern: &str,
    flags: &str,
) -> Result<Regex, Failure> {
    call.meter.steps(if pattern.contains('{') {
        STEPS_REPEATED
    } else {
        STEPS
    })?;
    call.meter.steps(pattern.len() as u64)?;
    if let Some(kept) = call.pattern.get()
        && kept.text == pattern
        && kept.flags == flags
    {
        return Ok(kept.regex.clone());
    }
    let regex = build(pattern, flags)?;
    let kept = Pattern {
        text: pattern.to_owned(),
        flags: flags.to_owned(),
        regex: regex.clone(),
    };
    call.pattern.set(kept).ok(); // Another pattern has the place: it keeps it.
    Ok(regex)
}

/// Compiles a pattern with the flags `s`, `m`, `i`, `x`.
fn build(pattern: &str, flags: &str) -> Result<Regex, Failure> {
    let mut builder = RegexBuilder::new(&translate(pattern));
    builder.size_limit(BYTES_MAX).nest_limit(100).crlf(true); // Java's point stops at a carriage return too.
    for flag in flags.chars() {
        match flag {
            's' => builder.dot_matches_new_line(true),
            'm' => builder.multi_line(true),
            'i' => builder.case_insensitive(true),
            'x' => builder.ignore_whitespace(true),
            _ => {
                return Err(Failure::Reason(format!(
                    "Unknown flag '{flag}' of a regular expression"
                )));
            }
        };
    }
    builder.build().map_err(|error| {
        let text = error.to_string();
        let last = text
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        Failure::Reason(format!("Failed to compile the regular expression: {last}"))
    })
}

/// Java's classes of letters, digits and spaces are ASCII; written out, they are so here too.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut characters = pattern.chars();
    let mut class = 0u32;
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped) => escape(&mut out, escaped, class > 0),
                None => out.push('\\'),
            },
            '[' => {
                class += 1;
                out.push('[');
            }
            ']' => {
                class = class.saturating_sub(1);
                out.push(']');
            }
            other => out.push(other),
        }
    }
    out
}

fn escape(out: &mut String, escaped: char, in_class: bool) {
    const SPACES: &str = r" \t\n\x0B\f\r";
    let (negated, set) = match escaped {
        'd' => (false, "0-9"),
        'D' => (true, "0-9"),
        'w' => (false, "A-Za-z0-9_"),
        'W' => (true, "A-Za-z0-9_"),
        's' => (false, SPACES),
        'S' => (true, SPACES),
        'h' => (false, r" \t\xA0"),
        other => {
            out.push('\\');
            out.push(other);
            return;
        }
    };
    match (negated, in_class) {
        (false, true) => out.push_str(set),
        (false, false) => out.extend(["[", set, "]"]),
        (true, _) => out.extend(["[^", set, "]"]),
    }
}

/// A replacement as Java reads it: `$1` and `${name}` are groups, a backslash takes the next character as it is.
pub(super) fn replace_all(
    call: &mut Call<'_, '_>,
    regex: &Regex,
    input: &str,
    with: &str,
) -> Result<String, Failure> {
    let parts = replacement(with, regex.captures_len())?;
    let mut out = String::new();
    let mut end = 0;
    for captures in regex.captures_iter(input) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        let before = out.len();
        out.push_str(input.get(end..whole.start()).unwrap_or_default());
        for part in &parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(number) => {
                    out.push_str(captures.get(*number).map_or("", |group| group.as_str()))
                }
                Part::Name(name) => {
                    out.push_str(captures.name(name).map_or("", |group| group.as_str()))
                }
            }
        }
        end = whole.end();
        // A short text with a long replacement can grow beyond any bound.
        call.meter.bytes((out.len() - before) as u64)?;
        call.meter.step()?;
    }
    out.push_str(input.get(end..).unwrap_or_default());
    Ok(out)
}

enum Part {
    Text(String),
    Group(usize),
    Name(String),
}

fn replacement(with: &str, groups: usize) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = with.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => text.extend(rest.next()),
            '$' => {
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(group(&mut rest, groups)?);
            }
            other => text.push(other),
        }
    }
    parts.push(Part::Text(text));
    Ok(parts)
}

/// Digits are taken as long as there is a group of that number.
fn group(rest: &mut std::str::Chars<'_>, groups: usize) -> Result<Part, Failure> {
    let illegal = || Failure::Reason("Illegal group in the replacement".to_owned());
    let tail = rest.as_str();
    if let Some((name, after)) = tail.strip_prefix('{').and_then(|tail| tail.split_once('}')) {
        *rest = after.chars();
        return Ok(Part::Name(name.to_owned()));
    }
    let mut number = rest
        .next()
        .and_then(|c| c.to_digit(10))
        .ok_or_else(illegal)? as usize;
    if number >= groups {
        return Err(illegal());
    }
    while let Some(digit) = rest.as_str().chars().next().and_then(|c| c.to_digit(10)) {
        let longer = number * 10 + digit as usize;
        if longer >= groups {
            break;
        }
        number = longer;
        rest.next();
    }
    Ok(Part::Group(number))
}
