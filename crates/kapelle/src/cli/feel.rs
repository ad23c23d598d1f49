//! `kapelle feel`.

use std::time::{SystemTime, UNIX_EPOCH};

use kapelle_feel::{Env, EvalError, Expr, ParseError, StoredMap, Variable, Variables, json};

use super::args::{Eval, Feel, FeelCommand, Format};
use super::exit::Exit;
use super::failure::Failure;
use super::input;
use super::output::Output;
use crate::client::{Document, Object};

pub(crate) fn run(args: Feel, output: Output) -> Result<Exit, Failure> {
    let FeelCommand::Eval(args) = args.command;
    let variables = input::variables(args.variables.as_deref())?;
    let looked_at = args
        .input
        .as_deref()
        .map(|text| input::json(text, "--input"))
        .transpose()?;
    let expression = parse(&args)?;
    let scope = Scope {
        variables: StoredMap(variables.stored()),
        input: looked_at.as_ref(),
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let env = Env {
        now_ms,
        seed: now.as_nanos() as u64,
        ..Env::default()
    };
    let evaluation = expression
        .evaluate(&scope, &env)
        .map_err(|error| given_up(&error))?;
    let value = json::from_value(&evaluation.value);
    match output.format {
        Format::Json => {
            let warnings = evaluation.warnings.iter().map(|warning| {
                Object::new()
                    .text("kind", &format!("{:?}", warning.kind))
                    .text("message", &warning.message)
                    .into_text()
            });
            let warnings = warnings.collect::<Vec<_>>().join(",");
            output.data(
                &Object::new()
                    .raw("result", &value)
                    .raw("warnings", &format!("[{warnings}]"))
                    .into_text(),
            )?;
        }
        Format::Table | Format::Name => {
            output.data(&value)?;
            for warning in &evaluation.warnings {
                output.message(&format!(
                    "{} {}",
                    output.messages.warning("warning:"),
                    warning.message
                ));
            }
        }
    }
    Ok(Exit::Ok)
}

fn parse(args: &Eval) -> Result<Expr, Failure> {
    // As it stands in a model: people copy it from there.
    let text = args.expression.trim_start();
    let text = text.strip_prefix('=').unwrap_or(text);
    let parsed = if args.unary {
        Expr::parse_unary_tests(text)
    } else {
        Expr::parse(text)
    };
    parsed.map_err(|error| no_expression(text, &error))
}

fn no_expression(text: &str, error: &ParseError) -> Failure {
    let line = text
        .lines()
        .nth(error.line.saturating_sub(1) as usize)
        .unwrap_or_default();
    let column = error.column.saturating_sub(1) as usize;
    Failure::failed("KAP-4001", "that is no FEEL expression")
        .why(line.to_owned())
        .why(format!("{}^ {}", " ".repeat(column), error.message))
}

fn given_up(error: &EvalError) -> Failure {
    Failure::failed("KAP-4002", "the expression has no result").why(error.to_string())
}

struct Scope<'a> {
    variables: StoredMap<'a>,
    input: Option<&'a Document>,
}

impl Variables for Scope<'_> {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        match self.input {
            Some(input) if name == "?" => Some(Variable::Stored(input.stored())),
            _ => self.variables.get(name),
        }
    }
}
