//! Text to tokens.

use std::ops::Range;

use super::parse::SyntaxError;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Letters, digits, underscores: a keyword, an attribute, a function.
    Word(Box<str>),
    /// Digits only.
    Integer(u64),
    /// The text between quotes, with the quote's own escape undone.
    Text(Box<str>),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 15] = [
    "<=", ">=", "<>", "!=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",",
];

/// All tokens with their places; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let Some(first) = text[at..].chars().next() else {
            tokens.push((Token::End, at..at));
            return Ok(tokens);
        };
        let (token, length) = match first {
            '\'' | '"' => quoted(&text[at..], first, at)?,
            _ if is_word(first) => word(&text[at..], at)?,
            _ => symbol(&text[at..], first, at)?,
        };
        tokens.push((token, at..at + length));
        at += length;
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn word(rest: &str, at: usize) -> Result<(Token, usize), SyntaxError> {
    let length = rest
        .find(|character| !is_word(character))
        .unwrap_or(rest.len());
    let word = &rest[..length];
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((Token::Word(word.into()), length));
    }
    let number = word
        .parse()
        .map_err(|_| SyntaxError::new(at, "an integer of 32 bits", format!("`{word}`")))?;
    Ok((Token::Integer(number), length))
}

/// A backslash escapes the quote it stands before; all others are kept, as patterns of LIKE need them.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(Token, usize), SyntaxError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((place, character)) = characters.next() {
        let is_escape =
            character == '\\' && characters.peek().is_some_and(|(_, next)| *next == quote);
        if is_escape {
            characters.next();
            text.push(quote);
        } else if character == quote {
            return Ok((Token::Text(text.into()), place + 1));
        } else {
            text.push(character);
        }
    }
    Err(SyntaxError::new(
        at + rest.len(),
        format!("the closing {quote} of the text that begins at byte {at}"),
        "the end".to_owned(),
    ))
}

fn symbol(rest: &str, first: char, at: usize) -> Result<(Token, usize), SyntaxError> {
    SYMBOLS
        .into_iter()
        .find(|symbol| rest.starts_with(symbol))
        .map(|symbol| (Token::Symbol(symbol), symbol.len()))
        .ok_or_else(|| SyntaxError::new(at, "an expression", format!("`{first}`")))
}
