//! Types as `instance of` and parameters name them.

use super::{Parser, Step};
use crate::lexer::Token;
use crate::program::Type;
use crate::value::Text;

/// Types of several words come first: `date` also begins `date and time`.
const NAMES: [(&[&str], &str); 14] = [
    (
        &["years", "and", "months", "duration"],
        "years and months duration",
    ),
    (
        &["days", "and", "time", "duration"],
        "days and time duration",
    ),
    (&["date", "and", "time"], "date and time"),
    (&["date"], "date"),
    (&["time"], "time"),
    (&["number"], "number"),
    (&["string"], "string"),
    (&["boolean"], "boolean"),
    (&["list"], "list"),
    (&["context"], "context"),
    (&["function"], "function"),
    (&["range"], "range"),
    (&["Any"], "Any"),
    (&["any"], "Any"),
];

impl Parser<'_> {
    pub(super) fn type_name(&mut self) -> Step<Type> {
        self.enter()?;
        let of = self.type_words()?;
        self.leave();
        Ok(of)
    }

    fn type_words(&mut self) -> Step<Type> {
        for (words, name) in NAMES {
            if self.words_follow(words)? {
                for _ in words {
                    self.advance()?;
                }
                return self.type_arguments(name);
            }
        }
        Err(self.expected("the name of a type"))
    }

    fn words_follow(&self, words: &[&str]) -> Step<bool> {
        let mut at = self.current;
        for (number, word) in words.iter().enumerate() {
            if number > 0 {
                at = self.peek_after(at)?;
            }
            if at.token != Token::Word || self.slice(at) != *word {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn type_arguments(&mut self, name: &'static str) -> Step<Type> {
        if name == "Any" {
            return Ok(Type::Any);
        }
        if !matches!(name, "list" | "context" | "function" | "range") || !self.take("<")? {
            return Ok(Type::Named(name));
        }
        let of = match name {
            "list" => Type::List(Box::new(self.type_name()?)),
            "range" => Type::Range(Box::new(self.type_name()?)),
            "context" => Type::Context(self.type_entries()?),
            _ => return self.function_type(),
        };
        self.expect(">")?;
        Ok(of)
    }

    fn type_entries(&mut self) -> Step<Vec<(Text, Type)>> {
        let mut entries = Vec::new();
        while !self.at(">") {
            let name = self.binder()?;
            self.expect(":")?;
            entries.push((Text::from(name), self.type_name()?));
            if !self.take(",")? {
                break;
            }
        }
        Ok(entries)
    }

    /// `function<number, string> -> boolean`.
    fn function_type(&mut self) -> Step<Type> {
        let mut parameters = 0;
        while !self.at(">") {
            self.type_name()?;
            parameters += 1;
            if !self.take(",")? {
                break;
            }
        }
        self.expect(">")?;
        self.expect("->")?;
        self.type_name()?;
        Ok(Type::Function(parameters))
    }
}
