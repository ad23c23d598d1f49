//! The evaluator: a walk over the arena.
//!
//! **Invariant:** every node visited takes a step of the meter and every value made is charged to it, so no expression
//! runs or grows without end; recursion is counted and ends in an ordinary failure. What cannot be computed is null and
//! leaves a warning.
//!
//! Deliberately absent: assignment, scopes, the clock. Locals are slots that the parser gave out.

mod arithmetic;
mod call;
mod collection;
mod compare;
mod iterate;
mod meter;
mod path;
mod test;
mod val;

use std::sync::Arc;

use crate::env::{Variable, Variables};
use crate::expr::EvalError;
use crate::program::{Node, NodeId, Program, Slot};
use crate::value::{Context, Text, Value};
use crate::warning::WarningKind;

pub(crate) use call::call_function;
pub(crate) use compare::{Order, order, same};
pub(crate) use meter::{Meter, Stop};
pub(crate) use val::Val;

/// One frame of evaluation: a program over its variables, or a function's body over its arguments.
pub(crate) struct Machine<'a, 'm, 'e> {
    program: &'a Arc<Program>,
    variables: &'a dyn Variables,
    captured: &'a [Value],
    locals: Vec<Val<'a>>,
    cache: Vec<Option<Cached<'a>>>,
    meter: &'m mut Meter<'e>,
}

/// A variable that is read more than once, and how often it was.
#[derive(Clone)]
struct Cached<'a> {
    value: Val<'a>,
    reads: u32,
}

/// From the so manieth read on a variable is decoded, so that a loop does not walk its bytes every time. Two or three
/// paths of a condition do read in place: decoding all of it costs as much as some dozens of them.
const READS_IN_PLACE: u32 = 16;

type Outcome<'a> = Result<Val<'a>, Stop>;

/// Evaluates a whole program.
pub(crate) fn evaluate(
    program: &Arc<Program>,
    variables: &dyn Variables,
    meter: &mut Meter<'_>,
) -> Result<Value, Stop> {
    let mut machine = Machine {
        program,
        variables,
        captured: &[],
        locals: vec![Val::NULL; program.local_slots as usize],
        cache: vec![None; program.cache_slots as usize],
        meter,
    };
    let value = machine.eval(program.root())?;
    value.into_value(machine.meter)
}

impl<'a> Machine<'a, '_, '_> {
    /// Kept small: in a debug build its frame is what recursion costs. Everything with locals of its own is elsewhere.
    pub(crate) fn eval(&mut self, id: NodeId) -> Outcome<'a> {
        self.meter.step()?;
        match self.program.node(id) {
            Node::Constant(at) => Ok(self.constant(at)),
            Node::Local(slot) => Ok(self.local(slot)),
            Node::Captured(at) => Ok(self.captured(at)),
            Node::Global(at) => self.global(at),
            node => {
                self.meter.enter()?;
                let value = self.compound(node)?;
                self.meter.leave();
                Ok(value)
            }
        }
    }

    fn compound(&mut self, node: Node) -> Outcome<'a> {
        match node {
            Node::Constant(_) | Node::Local(_) | Node::Captured(_) | Node::Global(_) => {
                unreachable!("leaves are evaluated where they are met")
            }
            Node::ItemEntry {
                name,
                items,
                fallback,
            } => self.item_entry(name, items, fallback),
            Node::List(items) => self.list(items),
            Node::Context(entries) => self.context(entries),
            Node::Arithmetic { first, rest } => self.arithmetic(first, rest),
            Node::Negate(operand) => self.negate(operand),
            Node::And(operands) => self.connective(operands, false),
            Node::Or(operands) => self.connective(operands, true),
            Node::Compare {
                operator,
                left,
                right,
            } => self.compare(operator, left, right),
            Node::Between { value, low, high } => self.between(value, low, high),
            Node::In {
                value,
                input,
                tests,
            } => self.in_tests(value, input, tests),
            Node::InstanceOf { value, of } => self.instance_of(value, of),
            Node::If(links) => self.if_else(links),
            Node::For {
                iterators,
                body,
                partial,
            } => self.for_each(iterators, body, partial),
            Node::Quantified {
                some,
                iterators,
                body,
            } => self.quantified(some, iterators, body),
            Node::Path { target, name } => self.path(target, name),
            Node::Index { target, index } => self.index(target, index),
            Node::Filter {
                target,
                body,
                item,
                predicate,
            } => self.filter(target, body, item, predicate),
            Node::Call { site, arguments } => self.built_in(site, arguments),
            Node::Invoke {
                callee,
                fallback,
                name,
                arguments,
                named,
            } => self.invoke(callee, fallback, name, arguments, named),
            Node::NoFunction { message } => Ok(self.no_function(message)),
            Node::Lambda(at) => self.lambda(at),
            Node::Range {
                start,
                end,
                start_included,
                end_included,
            } => self.range(start, end, start_included, end_included),
            Node::Tests { tests, negated } => self.tests(tests, negated),
            Node::InputCompare {
                operator,
                input,
                operand,
            } => self.compare(operator, input, operand),
            Node::InputTest {
                input,
                expression,
                mentions_input,
            } => self.input_test(input, expression, mentions_input),
            Node::RangeOrTest { range, input } => self.range_or_test(range, input),
        }
    }

    fn constant(&self, at: u32) -> Val<'a> {
        self.program
            .constants
            .get(at as usize)
            .map_or(Val::NULL, Val::of)
    }

    fn local(&self, slot: Slot) -> Val<'a> {
        self.locals.get(slot as usize).cloned().unwrap_or(Val::NULL)
    }

    fn captured(&self, at: u32) -> Val<'a> {
        self.captured.get(at as usize).map_or(Val::NULL, Val::of)
    }

    /// Puts a value where its name finds it. Lists that only borrow are made whole first: a slot is read many times.
    fn bind(&mut self, slot: Slot, value: Val<'a>) -> Result<(), Stop> {
        let value = if let Val::Items(_) = value {
            Val::Value(value.into_value(self.meter)?)
        } else {
            value
        };
        if let Some(place) = self.locals.get_mut(slot as usize) {
            *place = value;
        }
        Ok(())
    }

    fn global(&mut self, at: u32) -> Outcome<'a> {
        let program = self.program;
        let global = program
            .globals
            .get(at as usize)
            .expect("invariant: globals are numbered by the parser");
        let Some(place) = global.cache.map(|place| place as usize) else {
            return self.load(&global.name);
        };
        let cached = match self.cache.get_mut(place).and_then(Option::take) {
            Some(Cached {
                value,
                reads: READS_IN_PLACE,
            }) => {
                let value = value.kept(self.meter)?;
                Cached {
                    value,
                    reads: READS_IN_PLACE + 1,
                }
            }
            Some(Cached { value, reads }) => Cached {
                value,
                reads: reads.saturating_add(1),
            },
            None => Cached {
                value: self.load(&global.name)?,
                reads: 1,
            },
        };
        let value = cached.value.clone();
        if let Some(slot) = self.cache.get_mut(place) {
            *slot = Some(cached);
        }
        Ok(value)
    }

    fn load(&mut self, name: &str) -> Outcome<'a> {
        match self.variables.get(name) {
            Some(Variable::Stored(bytes)) => Ok(Val::from_stored(bytes)),
            Some(Variable::Value(value)) => Ok(Val::of(value)),
            None if name == "?" => Err(Box::new(EvalError::NoInput)),
            None => {
                self.meter.warn(WarningKind::NoVariableFound, || {
                    format!("No variable found with name '{name}'")
                });
                Ok(Val::NULL)
            }
        }
    }

    /// A condition picks a branch; what is not true is false.
    fn if_else(&mut self, links: crate::program::Run) -> Outcome<'a> {
        let [condition, then, otherwise] = links.of(&self.program.links) else {
            return Ok(Val::NULL);
        };
        let condition = self.eval(*condition)?.as_bool();
        self.eval(if condition == Some(true) {
            *then
        } else {
            *otherwise
        })
    }

    /// `and`, `or`: the absorbing value decides at once; else what is no truth value makes the answer null.
    fn connective(&mut self, operands: crate::program::Run, absorbing: bool) -> Outcome<'a> {
        let mut unknown = false;
        for operand in operands.of(&self.program.links) {
            let value = self.eval(*operand)?;
            match value.as_bool() {
                Some(truth) if truth == absorbing => return Ok(Val::bool(absorbing)),
                Some(_) => {}
                None => {
                    if !value.is_null() {
                        let shown = self.show(&value);
                        self.meter.warn(WarningKind::InvalidType, || {
                            format!("Expected boolean but found '{shown}'")
                        });
                    }
                    unknown = true;
                }
            }
        }
        Ok(if unknown {
            Val::NULL
        } else {
            Val::bool(!absorbing)
        })
    }

    fn list(&mut self, items: crate::program::Run) -> Outcome<'a> {
        let nodes = items.of(&self.program.links);
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            let value = self.eval(*node)?;
            values.push(value.into_value(self.meter)?);
        }
        self.meter.list(values).map(Val::Value)
    }

    fn context(&mut self, entries: crate::program::Run) -> Outcome<'a> {
        let entries = entries.of(&self.program.entries);
        let mut values: Vec<(Text, Value)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let value = self.eval(entry.value)?;
            let value = value.into_value(self.meter)?;
            if let Some(slot) = entry.slot {
                self.bind(slot, Val::Value(value.clone()))?;
            }
            values.push((entry.name.clone(), value));
        }
        self.meter
            .made(Value::Context(Context::new(values)))
            .map(Val::Value)
    }

    /// A value for a message, cut to what fits one.
    fn show(&self, value: &Val<'_>) -> String {
        val::show(value)
    }
}
