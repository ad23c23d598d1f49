//! Text to tokens, on demand: the parser asks for the next one where it stands, because what a context's key may contain
//! is no token at all.
//!
//! **Invariant:** every position is a character boundary of the text. Deliberately absent: keywords. `date and time` is a
//! name and `and` an operator; only the parser can tell.

/// What a stretch of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name or keyword.
    Word,
    /// A name in backticks.
    Escaped,
    Number,
    /// A text in quotes.
    Text,
    /// `@` and a text in quotes.
    At,
    /// Punctuation or an operator.
    Symbol(&'static str),
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spanned {
    pub(crate) token: Token,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What is no token, and where it begins.
pub(crate) struct LexError {
    pub(crate) message: &'static str,
    pub(crate) at: usize,
}

/// Longer ones first: the first that fits is taken.
const SYMBOLS: [&str; 29] = [
    "**", "..", "<=", ">=", "!=", "->", "(", ")", "[", "]", "{", "}", ",", ":", ".", "?", "=", "<",
    ">", "+", "-", "*", "/", ";", "|", "&", "!", "~", "^",
];

/// The token at or after `at`.
pub(crate) fn next(text: &str, at: usize) -> Result<Spanned, LexError> {
    let start = skip_space(text, at)?;
    let rest = text.get(start..).unwrap_or_default();
    let Some(first) = rest.chars().next() else {
        return Ok(Spanned {
            token: Token::End,
            start,
            end: start,
        });
    };
    let (token, len) = match first {
        '"' => (Token::Text, quoted(rest, start)?),
        '@' if rest.get(1..).is_some_and(|r| r.starts_with('"')) => (
            Token::At,
            1 + quoted(rest.get(1..).unwrap_or_default(), start + 1)?,
        ),
        '`' => (Token::Escaped, backticks(rest, start)?),
        '0'..='9' => (Token::Number, number(rest)),
        '.' if rest
            .get(1..)
            .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())) =>
        {
            (Token::Number, number(rest))
        }
        c if is_name_start(c) => (
            Token::Word,
            rest.find(|c| !is_name_part(c)).unwrap_or(rest.len()),
        ),
        _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => (Token::Symbol(symbol), symbol.len()),
            None => {
                return Err(LexError {
                    message: "unexpected character",
                    at: start,
                });
            }
        },
    };
    Ok(Spanned {
        token,
        start,
        end: start + len,
    })
}

/// Passes over white space and comments.
pub(crate) fn skip_space(text: &str, mut at: usize) -> Result<usize, LexError> {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        at += rest.len() - trimmed.len();
        if trimmed.starts_with("//") {
            at += trimmed.find('\n').unwrap_or(trimmed.len());
        } else if trimmed.starts_with("/*") {
            let end = trimmed.find("*/").ok_or(LexError {
                message: "the comment has no end",
                at,
            })?;
            at += end + 2;
        } else {
            return Ok(at);
        }
    }
}

/// Names are Java's, and whatever else is not ASCII: people name things with emoji.
pub(crate) fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '$' || (!c.is_ascii() && !c.is_whitespace())
}

pub(crate) fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit()
}

fn quoted(rest: &str, start: usize) -> Result<usize, LexError> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(at + 1),
            _ => {}
        }
    }
    Err(LexError {
        message: "the text has no end",
        at: start,
    })
}

fn backticks(rest: &str, start: usize) -> Result<usize, LexError> {
    match rest.get(1..).and_then(|r| r.find('`')) {
        Some(0) => Err(LexError {
            message: "the name in backticks is empty",
            at: start,
        }),
        Some(len) => Ok(len + 2),
        None => Err(LexError {
            message: "the name in backticks has no end",
            at: start,
        }),
    }
}

/// Digits, a fraction if a digit follows the point (`1..3` is a range), an exponent if it has digits.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        bytes
            .iter()
            .skip(from)
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut len = digits(0);
    if bytes.get(len) == Some(&b'.') && digits(len + 1) > 0 {
        len += 1 + digits(len + 1);
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits(len + 1 + sign);
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    }
    len
}

/// What a text in quotes means. Escapes that FEEL does not know stay as they are: regular expressions use them.
pub(crate) fn unescape(quoted: &str) -> String {
    let inner = quoted
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default();
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let (text, used) = escape(tail);
        out.push_str(&text);
        rest = tail.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// What an escape at the beginning of `tail` means, and how long it is.
fn escape(tail: &str) -> (String, usize) {
    let second = tail.chars().nth(1);
    let simple = |c: char| (c.to_string(), 2);
    match second {
        Some('n') => simple('\n'),
        Some('t') => simple('\t'),
        Some('r') => simple('\r'),
        Some('b') => simple('\u{8}'),
        Some('f') => simple('\u{c}'),
        Some(c @ ('"' | '\'' | '\\')) => simple(c),
        Some('u') => unicode(tail).unwrap_or_else(|| ("\\u".to_owned(), 2)),
        Some('U') => match code(tail, 6) {
            Some(code) => (char::from_u32(code).unwrap_or('\u{fffd}').to_string(), 8),
            None => ("\\U".to_owned(), 2),
        },
        Some(other) => (format!("\\{other}"), 1 + other.len_utf8()),
        None => ("\\".to_owned(), 1),
    }
}

/// `\uXXXX`, or two of them that make one character.
fn unicode(tail: &str) -> Option<(String, usize)> {
    let first = code(tail, 4)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c.to_string(), 6));
    }
    let second = tail
        .get(6..)
        .filter(|t| t.starts_with("\\u"))
        .and_then(|t| code(t, 4));
    let pair = second.filter(|s| first < 0xdc00 && (0xdc00..0xe000).contains(s));
    Some(
        match pair
            .map(|s| 0x10000 + ((first - 0xd800) << 10) + (s - 0xdc00))
            .and_then(char::from_u32)
        {
            Some(c) => (c.to_string(), 12),
            None => ('\u{fffd}'.to_string(), 6),
        },
    )
}

fn code(tail: &str, digits: usize) -> Option<u32> {
    let hex = tail.get(2..2 + digits)?;
    if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(hex, 16).ok()
}
