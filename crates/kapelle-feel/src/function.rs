//! Functions as values.

use std::fmt;
use std::sync::Arc;

use crate::value::Shape;

/// A function that an expression made.
#[derive(Clone)]
pub struct Function(Arc<Lambda>);

struct Lambda {
    shape: Shape,
}

impl Function {
    pub(crate) fn shape(&self) -> Shape {
        self.0.shape
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("function")
    }
}
