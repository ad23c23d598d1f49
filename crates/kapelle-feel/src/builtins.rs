//! Built-in functions: what there is, and which overload a call means.
//!
//! A function is a line in the table of its group: name, parameters, code. Which overload is meant is decided when an
//! expression is compiled, by the number of arguments or by their names; types are checked by the code when it runs.
//!
//! **Invariant:** a function pays the meter before it makes something whose size its arguments do not bound.
//!
//! Deliberately absent: external functions, and everything that would need the clock or the outside.

mod arguments;
mod boolean;
mod context;
mod conversion;
mod engine;
mod list;
mod numeric;
mod range;
mod regex;
mod string;
mod temporal;

use std::fmt;
use std::sync::OnceLock;

use crate::eval::{Meter, Stop};
use crate::value::Value;
pub(crate) use regex::Pattern;

/// One way to call a function.
pub(crate) struct Overload {
    pub(crate) name: &'static str,
    /// Names of the parameters. One that has two names has a bar between them.
    pub(crate) parameters: &'static [&'static str],
    /// More arguments may follow.
    pub(crate) variadic: bool,
    pub(crate) run: fn(&mut Call<'_, '_>) -> Outcome,
}

/// A call on its way.
pub(crate) struct Call<'m, 'e> {
    pub(crate) arguments: Vec<Value>,
    /// Where this call keeps its regular expression.
    pub(crate) pattern: &'m OnceLock<Pattern>,
    pub(crate) meter: &'m mut Meter<'e>,
}

pub(crate) type Outcome = Result<Value, Failure>;

/// Why a function has no value.
pub(crate) enum Failure {
    /// It does not take these arguments: null.
    Illegal,
    /// Another reason: null.
    Reason(String),
    /// The evaluation is given up.
    Stop(Stop),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Failure {
        Failure::Stop(stop)
    }
}

/// A line of a table.
const fn function(
    name: &'static str,
    parameters: &'static [&'static str],
    run: fn(&mut Call<'_, '_>) -> Outcome,
) -> Overload {
    Overload {
        name,
        parameters,
        variadic: false,
        run,
    }
}

/// A line of a table, for a function that takes any number of arguments.
const fn variadic(
    name: &'static str,
    parameters: &'static [&'static str],
    run: fn(&mut Call<'_, '_>) -> Outcome,
) -> Overload {
    Overload {
        name,
        parameters,
        variadic: true,
        run,
    }
}

const GROUPS: [&[Overload]; 9] = [
    boolean::FUNCTIONS,
    conversion::FUNCTIONS,
    string::FUNCTIONS,
    list::FUNCTIONS,
    numeric::FUNCTIONS,
    context::FUNCTIONS,
    temporal::FUNCTIONS,
    range::FUNCTIONS,
    engine::FUNCTIONS,
];

fn all() -> impl Iterator<Item = &'static Overload> {
    GROUPS.into_iter().flatten()
}

/// Is there a function of that name?
pub(crate) fn is_known(name: &str) -> bool {
    all().any(|overload| overload.name == name)
}

/// The overload that takes so many arguments, or arguments of these names.
pub(crate) fn overload(
    name: &str,
    count: usize,
    names: Option<&[String]>,
) -> Option<&'static Overload> {
    let of_name = || all().filter(|overload| overload.name == name);
    match names {
        None => of_name()
            .find(|o| o.parameters.len() == count && !o.variadic)
            .or_else(|| of_name().find(|o| o.variadic && o.parameters.len() <= count)),
        Some(names) => of_name()
            .filter(|o| {
                names.iter().all(|name| {
                    o.parameters
                        .iter()
                        .any(|p| p.split('|').any(|alias| alias == name))
                })
            })
            .min_by_key(|o| o.parameters.len()),
    }
}

/// The message for a call that no overload takes.
pub(crate) fn not_found(name: &str, count: usize, names: Option<&[String]>) -> String {
    let wanted = match names {
        Some(names) => format!("parameters: {}", names.join(", ")),
        None => format!("{count} parameters"),
    };
    let hint = suggestion(name).map_or(String::new(), |known| format!(". Did you mean '{known}'?"));
    format!("No function found with name '{name}' and {wanted}{hint}")
}

/// A known name that is nearly this one.
fn suggestion(name: &str) -> Option<&'static str> {
    if name.len() > 40 || is_known(name) {
        return None;
    }
    let near = all()
        .map(|overload| (strsim::levenshtein(name, overload.name), overload.name))
        .min()?;
    let allowed = 1 + name.len() / 5; // A slip in a short name, two or three in a long one.
    (near.0 <= allowed).then_some(near.1)
}

impl fmt::Debug for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.parameters.join(", "))
    }
}
