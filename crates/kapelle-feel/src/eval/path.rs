//! `.name`: entries of contexts, of all contexts in a list, and properties of temporal values and ranges.

use super::{Machine, Outcome, Stop, Val};
use crate::msgpack;
use crate::program::{NodeId, Run, Slot};
use crate::range::Bound;
use crate::temporal::{DateTime, DaysTimeDuration, Time};
use crate::value::{Text, Value};
use crate::warning::WarningKind;

/// Stored bytes that are passed over in the time of a step.
const BYTES_PER_STEP: usize = 256;

impl<'a> Machine<'a, '_, '_> {
    pub(super) fn path(&mut self, target: NodeId, name: u32) -> Outcome<'a> {
        let target = self.eval(target)?;
        let program = self.program;
        self.entry(target, program.name_at(name))
    }

    fn entry(&mut self, target: Val<'a>, name: &Text) -> Outcome<'a> {
        let found = match &target {
            Val::Stored(bytes) => match msgpack::find(bytes, name) {
                Some(found) => {
                    self.meter.steps((bytes.len() / BYTES_PER_STEP) as u64)?;
                    found.map(Val::from_stored)
                }
                None => return self.entries_of(target, name),
            },
            Val::Value(Value::Context(context)) => context.get(name).cloned().map(Val::Value),
            Val::Items(_) | Val::Value(Value::List(_)) => {
                return self.entries_of(target, name);
            }
            Val::Value(Value::Null) => {
                self.meter.warn(WarningKind::NoContextEntryFound, || {
                    format!("No context entry found with key '{name}'. The context is null")
                });
                return Ok(Val::NULL);
            }
            Val::Value(value) => property(value, name).map(Val::Value),
            Val::Str(_) => None,
        };
        Ok(found.unwrap_or_else(|| self.no_entry(&target, name)))
    }

    /// The entry of every element. A list in the list gives a list.
    fn entries_of(&mut self, list: Val<'a>, name: &Text) -> Outcome<'a> {
        let Ok(elements) = list.elements() else {
            return Ok(Val::NULL);
        };
        let mut found = Vec::with_capacity(elements.len());
        self.meter.enter()?; // Lists in lists recurse.
        for element in elements {
            self.meter.step()?;
            found.push(self.entry(element, name)?);
        }
        self.meter.leave();
        Ok(Val::Items(found))
    }

    fn no_entry(&mut self, target: &Val<'a>, name: &Text) -> Val<'a> {
        let keys = match target {
            Val::Value(Value::Context(context)) => Some(keys(context.iter().map(|(name, _)| name))),
            Val::Stored(bytes) => Some(keys(msgpack::entries(bytes).map(|(name, _)| name))),
            _ => None,
        };
        match keys {
            Some(keys) => self.meter.warn(WarningKind::NoContextEntryFound, || {
                format!("No context entry found with key '{name}'. Available keys: {keys}")
            }),
            None => {
                let shown = self.show(target);
                self.meter.warn(WarningKind::NoPropertyFound, || {
                    format!("No property found with name '{name}' of value '{shown}'")
                });
            }
        }
        Val::NULL
    }

    /// A name inside of a filter: an entry of the item, if that is a context with such an entry.
    pub(super) fn item_entry(&mut self, name: u32, items: Run, fallback: NodeId) -> Outcome<'a> {
        let program = self.program;
        let name = program.name_at(name);
        for slot in items.of(&program.slots) {
            if let Some(found) = self.entry_of_item(*slot, name)? {
                return Ok(found);
            }
        }
        self.eval(fallback)
    }

    fn entry_of_item(&mut self, slot: Slot, name: &Text) -> Result<Option<Val<'a>>, Stop> {
        Ok(match self.locals.get(slot as usize) {
            Some(Val::Value(Value::Context(context))) => context.get(name).cloned().map(Val::Value),
            Some(Val::Stored(bytes)) => {
                let bytes = *bytes;
                self.meter.steps((bytes.len() / BYTES_PER_STEP) as u64)?;
                msgpack::get(bytes, name).map(Val::from_stored)
            }
            _ => None,
        })
    }
}

/// Names for a message: the first few.
fn keys<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let shown: Vec<String> = names.take(20).map(|name| format!("'{name}'")).collect();
    shown.join(", ")
}

/// A property of a value that is no context.
fn property(value: &Value, name: &str) -> Option<Value> {
    match value {
        Value::Date(date) => of_date(*date, name),
        Value::Time(time) => of_time(time, name),
        Value::DateTime(at) => of_moment(at, name),
        Value::DaysTimeDuration(span) => of_span(*span, name),
        Value::YearsMonthsDuration(span) => match name {
            "years" => Some(Value::from(span.months() / 12)),
            "months" => Some(Value::from(span.months() % 12)),
            _ => None,
        },
        Value::Range(range) => {
            let bound = |bound: &Bound| bound.value().cloned().unwrap_or(Value::Null);
            match name {
                "start" => Some(bound(&range.start)),
                "end" => Some(bound(&range.end)),
                "start included" => Some(Value::Bool(range.start.is_included())),
                "end included" => Some(Value::Bool(range.end.is_included())),
                _ => None,
            }
        }
        _ => None,
    }
}

fn of_date(date: crate::temporal::Date, name: &str) -> Option<Value> {
    Some(Value::from(match name {
        "year" => i64::from(date.year()),
        "month" => i64::from(date.month()),
        "day" => i64::from(date.day()),
        "weekday" => i64::from(date.weekday()),
        _ => return None,
    }))
}

fn of_time(time: &Time, name: &str) -> Option<Value> {
    Some(match name {
        "hour" => Value::from(time.hour()),
        "minute" => Value::from(time.minute()),
        "second" => Value::from(time.second()),
        "timezone" => time.zone().region().map_or(Value::Null, Value::from),
        "time offset" => offset(time.offset_seconds()),
        _ => return None,
    })
}

fn of_moment(at: &DateTime, name: &str) -> Option<Value> {
    match name {
        "time offset" => Some(offset(at.offset_seconds())),
        _ => of_date(at.date(), name).or_else(|| of_time(&at.time(), name)),
    }
}

fn offset(seconds: Option<i32>) -> Value {
    seconds.map_or(Value::Null, |seconds| {
        Value::DaysTimeDuration(DaysTimeDuration::from_seconds(seconds.into()))
    })
}

fn of_span(span: DaysTimeDuration, name: &str) -> Option<Value> {
    let (negative, [days, hours, minutes, seconds, _]) = span.parts();
    let part = match name {
        "days" => days,
        "hours" => hours,
        "minutes" => minutes,
        "seconds" => seconds,
        _ => return None,
    };
    let part = crate::number::Number::from(part);
    Some(Value::Number(if negative { part.neg() } else { part }))
}
