//! Calls: of built-ins, of functions that the expression made, and the making of those.

use std::sync::Arc;

use super::val::show;
use super::{Machine, Meter, Outcome, Stop, Val};
use crate::builtins::{self, Call, Failure};
use crate::function::Function;
use crate::program::{NodeId, Run};
use crate::value::Value;
use crate::warning::WarningKind;

impl<'a> Machine<'a, '_, '_> {
    pub(super) fn built_in(&mut self, site: u32, arguments: Run) -> Outcome<'a> {
        let program = self.program;
        let site = program
            .calls
            .get(site as usize)
            .expect("invariant: calls are numbered by the parser");
        let arguments = self.arguments(arguments)?;
        let mut call = Call {
            arguments,
            pattern: &site.pattern,
            meter: self.meter,
        };
        match (site.overload.run)(&mut call) {
            Ok(value) => self.meter.made(value).map(Val::Value),
            Err(Failure::Stop(stop)) => Err(stop),
            Err(failure) => {
                let (name, arguments) = (site.overload.name, &call.arguments);
                call.meter.warn(WarningKind::FunctionInvocationFailure, || {
                    format!(
                        "Failed to invoke function '{name}': {}",
                        reason(&failure, arguments)
                    )
                });
                Ok(Val::NULL)
            }
        }
    }

    fn arguments(&mut self, arguments: Run) -> Result<Vec<Value>, Stop> {
        let nodes = arguments.of(&self.program.links);
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            values.push(self.whole(*node)?);
        }
        // Whatever a function does with a text, it takes time to read it.
        let texts: usize = values.iter().filter_map(Value::as_str).map(str::len).sum();
        self.meter.steps(texts as u64 / 256)?;
        Ok(values)
    }

    pub(super) fn no_function(&mut self, message: u32) -> Val<'a> {
        let program = self.program;
        self.meter.warn(WarningKind::NoFunctionFound, || {
            program.name_at(message).to_string()
        });
        Val::NULL
    }

    pub(super) fn invoke(
        &mut self,
        callee: NodeId,
        fallback: Option<NodeId>,
        name: u32,
        arguments: Run,
        named: Option<Run>,
    ) -> Outcome<'a> {
        // That a name is no variable is not the news; that it is no function is.
        let silent = self.meter.set_silent(true);
        let callee = self.whole(callee)?;
        self.meter.set_silent(silent);
        let count = arguments.of(&self.program.links).len();
        let (Value::Function(function), fallback) = (callee, fallback) else {
            return match fallback {
                Some(built_in) => self.eval(built_in),
                None => Ok(self.no_such_function(name, count)),
            };
        };
        let arguments = self.arguments(arguments)?;
        let Some(arguments) = self.match_parameters(&function, arguments, named) else {
            return match fallback {
                Some(built_in) => self.eval(built_in),
                None => Ok(self.no_such_function(name, count)),
            };
        };
        call_function(&function, arguments, self.meter).map(Val::Value)
    }

    fn no_such_function(&mut self, name: u32, count: usize) -> Val<'a> {
        let program = self.program;
        self.meter.warn(WarningKind::NoFunctionFound, || {
            builtins::not_found(program.name_at(name), count, None)
        });
        Val::NULL
    }

    /// Arguments in the order of the parameters, if they are as many and of those names.
    fn match_parameters(
        &self,
        function: &Function,
        arguments: Vec<Value>,
        named: Option<Run>,
    ) -> Option<Vec<Value>> {
        let parameters = function.parameters();
        if parameters.len() != arguments.len() {
            return None;
        }
        let Some(named) = named else {
            return Some(arguments);
        };
        let names = named.of(&self.program.slots);
        let argument = |parameter: &str| {
            let at = names
                .iter()
                .position(|name| self.program.name_at(*name) == parameter)?;
            arguments.get(at).cloned()
        };
        parameters
            .iter()
            .map(|parameter| argument(parameter))
            .collect()
    }

    pub(super) fn lambda(&mut self, at: u32) -> Outcome<'a> {
        let program = self.program;
        let captures = program
            .lambdas
            .get(at as usize)
            .map_or(&[][..], |lambda| &lambda.captures);
        // A variable that is not there is only missed when the function reads it.
        let silent = self.meter.set_silent(true);
        let mut captured = Vec::with_capacity(captures.len());
        for node in captures {
            captured.push(self.whole(*node)?);
        }
        self.meter.set_silent(silent);
        let program = Arc::clone(self.program);
        self.meter
            .made(Value::Function(Function::new(program, at, captured)))
            .map(Val::Value)
    }
}

fn reason(failure: &Failure, arguments: &[Value]) -> String {
    match failure {
        Failure::Reason(reason) => reason.clone(),
        _ => {
            let shown: Vec<String> = arguments
                .iter()
                .map(|value| show(&Val::of(value)))
                .collect();
            format!("Illegal arguments: {}", shown.join(", "))
        }
    }
}

/// Calls a function in a frame of its own. `arguments` are as many as it has parameters.
pub(crate) fn call_function(
    function: &Function,
    arguments: Vec<Value>,
    meter: &mut Meter<'_>,
) -> Result<Value, Stop> {
    let program = function.program();
    let Some(lambda) = program.lambdas.get(function.lambda() as usize) else {
        return Ok(Value::Null);
    };
    meter.step()?;
    let mut locals: Vec<Val<'_>> = arguments.into_iter().map(Val::Value).collect();
    locals.resize(lambda.slots as usize, Val::NULL);
    let mut machine = Machine {
        program,
        variables: &(),
        captured: function.captured(),
        locals,
        cache: Vec::new(), // Globals are captured, never read, by a function's body.
        meter,
    };
    let value = machine.eval(lambda.body)?;
    value.into_value(meter)
}
