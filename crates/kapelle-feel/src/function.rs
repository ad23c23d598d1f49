//! Functions as values: a body with what it took along from where it was made.
//!
//! **Invariant:** a function needs nothing of the evaluation that made it, so it can be a variable of another one.

use std::fmt;
use std::sync::Arc;

use crate::program::Program;
use crate::value::{Shape, Text, Value};

/// A function that an expression made.
#[derive(Clone)]
pub struct Function(Arc<Closure>);

struct Closure {
    program: Arc<Program>,
    /// The definition's number in the program.
    lambda: u32,
    captured: Vec<Value>,
    shape: Shape,
}

impl Function {
    pub(crate) fn new(program: Arc<Program>, lambda: u32, captured: Vec<Value>) -> Function {
        let shape = Shape::around(captured.iter().map(Value::shape));
        Function(Arc::new(Closure {
            program,
            lambda,
            captured,
            shape,
        }))
    }

    /// The names of its parameters.
    pub fn parameters(&self) -> &[Text] {
        self.0
            .program
            .lambdas
            .get(self.0.lambda as usize)
            .map_or(&[], |lambda| &lambda.parameters)
    }

    pub(crate) fn program(&self) -> &Arc<Program> {
        &self.0.program
    }

    pub(crate) fn lambda(&self) -> u32 {
        self.0.lambda
    }

    pub(crate) fn captured(&self) -> &[Value] {
        &self.0.captured
    }

    pub(crate) fn shape(&self) -> Shape {
        self.0.shape
    }
}

/// The same function, not one that does the same.
impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function({})", self.parameters().join(", "))
    }
}
