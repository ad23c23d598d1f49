//! Calls: which words before a parenthesis are a function's name, and which function they mean.

use std::sync::OnceLock;

use super::operator::Precedence;
use super::{Parser, Step, is_reserved, scope};
use crate::builtins::{self, Overload};
use crate::lexer::{Spanned, Token};
use crate::program::{CallSite, Node, NodeId, push_run};
use crate::temporal;
use crate::value::Value;

/// Words of the longest name that is looked for. The longest built-in has four.
const NAME_WORDS_MAX: usize = 8;

/// Arguments of a call, with the names they were given.
struct Arguments {
    nodes: Vec<NodeId>,
    names: Option<Vec<String>>,
}

impl Parser<'_> {
    /// The words from here to an opening parenthesis, if together they are a function's name.
    ///
    /// `date and time(` is one although `and` is an operator, because there is such a built-in; `x and y(` is not.
    pub(super) fn call_name(&self) -> Step<Option<(String, Spanned)>> {
        let mut name = String::new();
        let mut reserved = false;
        let mut at = self.current;
        for _ in 0..NAME_WORDS_MAX {
            let word = self.slice(at);
            reserved |= is_reserved(word);
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(word);
            // What cannot be read ends the words; the parser will meet it again and say so.
            let Ok(next) = self.peek_after(at) else {
                return Ok(None);
            };
            match next.token {
                Token::Symbol("(") if !reserved || builtins::is_known(&name) => {
                    return Ok(Some((name, next)));
                }
                Token::Word => at = next,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// From after the opening parenthesis on.
    pub(super) fn call(&mut self, name: &str) -> Step {
        if scope::is_bound(&self.frames, name) {
            let callee = self.resolve(name);
            return self.invoke(callee, Some(name), name);
        }
        if builtins::is_known(name) {
            let arguments = self.arguments()?;
            return Ok(self.built_in(name, &arguments));
        }
        let callee = self.resolve(name);
        self.invoke(callee, None, name)
    }

    /// A call of a value. Where it is no function, a built-in of the name `fallback` is meant.
    pub(super) fn invoke(&mut self, callee: NodeId, fallback: Option<&str>, name: &str) -> Step {
        let arguments = self.arguments()?;
        let fallback = fallback.filter(|name| builtins::is_known(name));
        let fallback = fallback.map(|name| self.built_in(name, &arguments));
        let name = self.program.name(name);
        let nodes = self.program.link(&arguments.nodes);
        let named = arguments.names.map(|names| {
            let names: Vec<u32> = names.iter().map(|name| self.program.name(name)).collect();
            push_run(&mut self.program.slots, names)
        });
        Ok(self.program.add(Node::Invoke {
            callee,
            fallback,
            name,
            arguments: nodes,
            named,
        }))
    }

    fn arguments(&mut self) -> Step<Arguments> {
        let mut nodes = Vec::new();
        let mut names = None;
        while !self.at(")") {
            let name = self.argument_name()?;
            match (&mut names, name) {
                (None, None) => {}
                (Some(names), Some(name)) => Vec::push(names, name),
                (None, Some(name)) if nodes.is_empty() => names = Some(vec![name]),
                _ => return Err(self.expected("arguments that are all named or all positional")),
            }
            nodes.push(self.expression(Precedence::LOWEST)?);
            if !self.take(",")? {
                break;
            }
        }
        if !self.at(")") {
            return Err(self.expected("`,` or `)`"));
        }
        self.advance()?;
        Ok(Arguments { nodes, names })
    }

    /// Words and a colon, if they are there: the name of an argument.
    fn argument_name(&mut self) -> Step<Option<String>> {
        if self.current.token == Token::Escaped && self.peek()?.token == Token::Symbol(":") {
            let name = self.slice(self.current).trim_matches('`').to_owned();
            self.advance()?;
            self.advance()?;
            return Ok(Some(name));
        }
        let mut name = String::new();
        let mut at = self.current;
        for _ in 0..NAME_WORDS_MAX {
            if at.token != Token::Word {
                return Ok(None);
            }
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(self.slice(at));
            let Ok(next) = self.peek_after(at) else {
                return Ok(None);
            };
            if next.token == Token::Symbol(":") {
                self.advance_from(next.end)?;
                return Ok(Some(name));
            }
            at = next;
        }
        Ok(None)
    }

    fn built_in(&mut self, name: &str, arguments: &Arguments) -> NodeId {
        let Some(overload) =
            builtins::overload(name, arguments.nodes.len(), arguments.names.as_deref())
        else {
            let message =
                builtins::not_found(name, arguments.nodes.len(), arguments.names.as_deref());
            let message = self.program.name(&message);
            return self.program.add(Node::NoFunction { message });
        };
        if let Some(folded) = self.fold(name, &arguments.nodes) {
            return self.program.constant(folded);
        }
        let nodes = match &arguments.names {
            None => arguments.nodes.clone(),
            Some(names) => self.in_order(overload, names, &arguments.nodes),
        };
        self.program.calls.push(CallSite {
            overload,
            pattern: OnceLock::new(),
        });
        let number = self.program.calls.len() as u32 - 1;
        let arguments = self.program.link(&nodes);
        self.program.add(Node::Call {
            site: number,
            arguments,
        })
    }

    /// Named arguments in the order of the parameters; one that is not given is null.
    fn in_order(&mut self, overload: &Overload, names: &[String], nodes: &[NodeId]) -> Vec<NodeId> {
        let mut ordered = Vec::new();
        for parameter in overload.parameters {
            let at = names
                .iter()
                .position(|name| parameter.split('|').any(|alias| alias == name));
            let node = at.and_then(|at| nodes.get(at).copied());
            ordered.push(node.unwrap_or_else(|| self.program.constant(Value::Null)));
        }
        ordered
    }

    /// Temporal values of literal text are made once, not at every evaluation.
    fn fold(&self, name: &str, arguments: &[NodeId]) -> Option<Value> {
        let [only] = arguments else { return None };
        let text = self.program.as_constant(*only)?.as_str()?;
        match name {
            "date" => text.parse().ok().map(Value::Date),
            "time" => text
                .parse::<temporal::Time>()
                .ok()
                .map(|time| Value::Time(Box::new(time))),
            "date and time" => text
                .parse::<temporal::DateTime>()
                .ok()
                .map(|at| Value::DateTime(Box::new(at))),
            "duration" => temporal::parse_duration(text),
            _ => None,
        }
    }
}
