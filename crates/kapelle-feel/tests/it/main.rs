//! Integration tests: the language as its users see it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy does not see that helpers here are tests too; the suite prints what it counted or skipped"
)]

mod conformance;
mod language;
mod limits;
mod mutation;
mod parse_errors;
mod stored;

use kapelle_feel::{Env, Expr, Value, Variables};

/// Value and warnings, or why there are none, as text.
fn outcome(text: &str, variables: &dyn Variables, env: &Env) -> String {
    let expr = match Expr::parse(text) {
        Ok(expr) => expr,
        Err(error) => return format!("no expression: {error}"),
    };
    match expr.evaluate(variables, env) {
        Ok(evaluation) => {
            let warnings = evaluation
                .warnings
                .iter()
                .map(|warning| format!("\n  {warning}"));
            evaluation.value.to_string() + &warnings.collect::<String>()
        }
        Err(error) => format!("failed: {error}"),
    }
}

/// Runs on a stack as small as the smallest that the server uses.
fn on_a_small_stack(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(body)
        .unwrap()
        .join()
        .unwrap();
}

/// A context from JSON text.
fn variables(json: &str) -> Value {
    kapelle_feel::json::to_value(json).unwrap()
}
