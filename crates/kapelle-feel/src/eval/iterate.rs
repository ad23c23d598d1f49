//! `for`, `some`, `every`: an odometer over the iterators, without recursion.

use super::val::Elements;
use super::{Machine, Outcome, Stop, Val};
use crate::program::{Domain, Iteration, NodeId, Run, Slot};
use crate::range::{Bound, Range};
use crate::temporal::Date;
use crate::value::{List, Shape, Value};
use crate::warning::WarningKind;

/// Where an iterator stands.
enum Wheel<'a> {
    Elements(Elements<'a>),
    /// The next number and the last one; up or down by one. Days are numbers too.
    Count {
        next: i64,
        last: i64,
        done: bool,
        value: FromNumber,
    },
}

impl<'a> Wheel<'a> {
    fn count(first: i64, last: i64, value: FromNumber) -> Wheel<'a> {
        Wheel::Count {
            next: first,
            last,
            done: false,
            value,
        }
    }

    fn turn(&mut self) -> Option<Val<'a>> {
        match self {
            Wheel::Elements(elements) => elements.next(),
            Wheel::Count { done: true, .. } => None,
            Wheel::Count {
                next,
                last,
                done,
                value,
            } => {
                let turned = value(*next);
                *done = *next == *last;
                if !*done {
                    *next += if *next < *last { 1 } else { -1 };
                }
                Some(Val::Value(turned))
            }
        }
    }
}

/// What can be counted: whole numbers and days, with the way back from the number.
fn countable(value: &Value) -> Option<(i64, FromNumber)> {
    match value {
        Value::Number(number) => Some((number.to_i64()?, |number| Value::from(number))),
        Value::Date(date) => Some((date.epoch_days(), |days| {
            Date::from_epoch_days(days).map_or(Value::Null, Value::Date)
        })),
        _ => None,
    }
}

/// Back from the number that counts to what is counted.
type FromNumber = fn(i64) -> Value;

/// What a body does with its loop.
enum Turn {
    Next,
    Stop,
}

impl<'a> Machine<'a, '_, '_> {
    /// Runs the body for every combination. Answers false if a domain is nothing to iterate over.
    fn each(
        &mut self,
        iterators: Run,
        body: &mut dyn FnMut(&mut Self) -> Result<Turn, Stop>,
    ) -> Result<bool, Stop> {
        let program = self.program;
        let iterators = iterators.of(&program.iterators);
        let mut wheels: Vec<Wheel<'a>> = Vec::with_capacity(iterators.len());
        loop {
            // Later domains may read earlier names: each is opened when the ones before it have a value.
            if let Some(next) = iterators.get(wheels.len()) {
                let Some(wheel) = self.wheel(next)? else {
                    return Ok(false);
                };
                wheels.push(wheel);
            } else if let Turn::Stop = body(self)? {
                return Ok(true);
            }
            // The last wheel turns; one that is at its end is taken off and the one before it turns.
            loop {
                let Some(wheel) = wheels.last_mut() else {
                    return Ok(true);
                };
                let turned = wheel.turn();
                match (turned, iterators.get(wheels.len() - 1)) {
                    (Some(value), Some(iterator)) => {
                        self.meter.step()?;
                        self.bind(iterator.slot, value)?;
                        break;
                    }
                    _ => {
                        wheels.pop();
                    }
                }
            }
        }
    }

    fn wheel(&mut self, iterator: &Iteration) -> Result<Option<Wheel<'a>>, Stop> {
        let domain = match iterator.domain {
            Domain::List(domain) => self.eval(domain)?,
            Domain::Count(first, last) => {
                let (first, last) = (self.whole(first)?, self.whole(last)?);
                let same_kind = std::mem::discriminant(&first) == std::mem::discriminant(&last);
                if let (true, Some((from, value)), Some((to, _))) =
                    (same_kind, countable(&first), countable(&last))
                {
                    return Ok(Some(Wheel::count(from, to, value)));
                }
                let (first, last) = (self.show(&Val::of(&first)), self.show(&Val::of(&last)));
                self.meter.warn(WarningKind::InvalidType, || {
                    format!("Can't count from '{first}' to '{last}'")
                });
                return Ok(None);
            }
        };
        let other = match domain.elements() {
            Ok(elements) => return Ok(Some(Wheel::Elements(elements))),
            Err(other) => other,
        };
        if let Val::Value(Value::Range(range)) = &other
            && let Some((first, last, value)) = counted(range)
        {
            return Ok(Some(Wheel::count(first, last, value)));
        }
        let shown = self.show(&other);
        self.meter.warn(WarningKind::InvalidType, || {
            format!("Expected list but found '{shown}'")
        });
        Ok(None)
    }

    pub(super) fn for_each(
        &mut self,
        iterators: Run,
        body: NodeId,
        partial: Option<Slot>,
    ) -> Outcome<'a> {
        match partial {
            Some(slot) => self.for_partial(iterators, body, slot),
            None => {
                let mut results = Vec::new();
                let whole = self.each(iterators, &mut |machine| {
                    let value = machine.whole(body)?;
                    machine.meter.bytes(Shape::BASE)?;
                    results.push(value);
                    Ok(Turn::Next)
                })?;
                if !whole {
                    return Ok(Val::NULL);
                }
                // Paid for one by one; only the shape is left to check.
                self.meter.shaped(Value::from(results)).map(Val::Value)
            }
        }
    }

    /// With the results so far in sight. They grow in place unless the body keeps them.
    fn for_partial(&mut self, iterators: Run, body: NodeId, partial: Slot) -> Outcome<'a> {
        self.bind(partial, Val::Value(Value::from(Vec::new())))?;
        let whole = self.each(iterators, &mut |machine| {
            let value = machine.whole(body)?;
            let place = machine.locals.get_mut(partial as usize);
            let so_far = place.map(|place| std::mem::replace(place, Val::NULL));
            let Some(Val::Value(Value::List(mut list))) = so_far else {
                return Ok(Turn::Stop);
            };
            let copied = List::push(&mut list, value);
            machine.meter.bytes(copied)?;
            let list = machine.meter.shaped(Value::List(list))?;
            machine.bind(partial, Val::Value(list))?;
            Ok(Turn::Next)
        })?;
        Ok(if whole {
            self.local(partial)
        } else {
            Val::NULL
        })
    }

    pub(super) fn quantified(&mut self, some: bool, iterators: Run, body: NodeId) -> Outcome<'a> {
        let mut answer = Some(!some);
        let whole = self.each(iterators, &mut |machine| {
            match machine.eval(body)?.as_bool() {
                Some(truth) if truth == some => {
                    answer = Some(some);
                    return Ok(Turn::Stop);
                }
                Some(_) => {}
                None => answer = None,
            }
            Ok(Turn::Next)
        })?;
        Ok(answer.filter(|_| whole).map_or(Val::NULL, Val::bool))
    }
}

/// First and last of what is counted in a range that has both ends.
fn counted(range: &Range) -> Option<(i64, i64, FromNumber)> {
    let end = |bound: &Bound, inward: i64| {
        let (number, value) = countable(bound.value()?)?;
        let number = if bound.is_included() {
            number
        } else {
            number.checked_add(inward)?
        };
        Some((number, value))
    };
    let ((first, value), (last, _)) = (end(&range.start, 1)?, end(&range.end, -1)?);
    (first <= last).then_some((first, last, value))
}
