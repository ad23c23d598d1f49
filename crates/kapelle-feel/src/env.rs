//! What an evaluation may read: variables, the record's time, a seed, limits. Nothing else exists for an expression.

use crate::temporal::Zone;
use crate::value::Value;

/// Where an expression finds its variables.
pub trait Variables {
    /// The variable of that name.
    fn get(&self, name: &str) -> Option<Variable<'_>>;
}

/// A variable as it lies there.
#[derive(Debug, Clone, Copy)]
pub enum Variable<'a> {
    /// Validated MessagePack (see [`crate::msgpack::validate`]); only what is read of it is decoded.
    Stored(&'a [u8]),
    /// A value.
    Value(&'a Value),
}

/// No variables.
impl Variables for () {
    fn get(&self, _name: &str) -> Option<Variable<'_>> {
        None
    }
}

/// The entries of a context.
impl Variables for Value {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        self.as_context()?.get(name).map(Variable::Value)
    }
}

/// The entries of a stored map. Finding one costs a walk; keep an index where there are many.
#[derive(Debug, Clone, Copy)]
pub struct StoredMap<'a>(pub &'a [u8]);

impl Variables for StoredMap<'_> {
    fn get(&self, name: &str) -> Option<Variable<'_>> {
        crate::msgpack::get(self.0, name).map(Variable::Stored)
    }
}

/// The surroundings of an evaluation. They come with the record, so a replay evaluates to the same.
#[derive(Debug, Clone)]
pub struct Env {
    /// What `now()` answers, in milliseconds since 1970.
    pub now_ms: i64,
    /// Whose clock `now()` and `today()` show.
    pub zone: Zone,
    /// Where `uuid()` and `random number()` begin.
    pub seed: u64,
    /// How much an evaluation may take.
    pub limits: Limits,
}

impl Default for Env {
    fn default() -> Env {
        Env {
            now_ms: 0,
            zone: Zone::UTC,
            seed: 0,
            limits: Limits::default(),
        }
    }
}

/// How much an evaluation may take. Reaching one is an ordinary failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Nodes evaluated, values compared, characters searched: a step is about 50 ns.
    pub steps: u64,
    /// Bytes of all values made on the way, about.
    pub bytes: u64,
    /// Expressions and function calls inside each other.
    pub depth: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        // 10 million steps hold the partition's writer for half a second at worst, 64 MiB is what a machine of 1 GiB
        // can spare, and 400 levels of a debug build fit the 2 MiB of a usual thread (tests/it/limits.rs).
        Limits {
            steps: 10_000_000,
            bytes: 64 << 20,
            depth: 400,
        }
    }
}
