//! JSON text: the only place where it is read and written.

pub mod pull;
mod quote;
pub use quote::quote;
