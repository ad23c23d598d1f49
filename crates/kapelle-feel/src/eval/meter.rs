//! What an evaluation has used and may still use, and what it leaves beside its value.

use crate::env::Env;
use crate::expr::EvalError;
use crate::value::{Shape, Value};
use crate::warning::{Warning, WarningKind};

/// The evaluation is given up. Boxed: results are returned at every node, failures once.
pub(crate) type Stop = Box<EvalError>;

/// Reasons kept. More of them say nothing new, and a loop can make millions.
const WARNINGS_MAX: usize = 50;

/// How deep values may be nested, as deep as they may be stored.
const VALUE_DEPTH_MAX: u32 = crate::msgpack::DEPTH_MAX as u32;

/// Counts steps, bytes and depth, collects warnings, draws random numbers.
pub(crate) struct Meter<'e> {
    pub(crate) env: &'e Env,
    steps: u64,
    bytes: u64,
    depth: u32,
    warnings: Vec<Warning>,
    random: u64,
    silent: bool,
}

impl<'e> Meter<'e> {
    pub(crate) fn new(env: &'e Env) -> Meter<'e> {
        Meter {
            env,
            steps: 0,
            bytes: 0,
            depth: 0,
            warnings: Vec::new(),
            random: env.seed,
            silent: false,
        }
    }

    #[inline]
    pub(crate) fn step(&mut self) -> Result<(), Stop> {
        self.steps(1)
    }

    #[inline]
    pub(crate) fn steps(&mut self, count: u64) -> Result<(), Stop> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > self.env.limits.steps {
            Err(self.out_of_steps())
        } else {
            Ok(())
        }
    }

    #[cold]
    fn out_of_steps(&self) -> Stop {
        Box::new(EvalError::Steps(self.env.limits.steps))
    }

    /// Pays for bytes that are about to be allocated.
    pub(crate) fn bytes(&mut self, count: u64) -> Result<(), Stop> {
        self.bytes = self.bytes.saturating_add(count);
        if self.bytes > self.env.limits.bytes {
            Err(self.out_of_bytes())
        } else {
            Ok(())
        }
    }

    #[cold]
    fn out_of_bytes(&self) -> Stop {
        Box::new(EvalError::Bytes(self.env.limits.bytes))
    }

    #[inline]
    pub(crate) fn enter(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > self.env.limits.depth {
            return Err(Box::new(EvalError::Depth(self.env.limits.depth)));
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Pays for a list and makes it.
    pub(crate) fn list(&mut self, items: Vec<Value>) -> Result<Value, Stop> {
        self.made(Value::from(items))
    }

    /// Pays for a value that has been made of others, which were paid for when they were made. Its whole size counts
    /// against the limit too: shared parts cost little here, but everything to whoever writes the value out.
    pub(crate) fn made(&mut self, value: Value) -> Result<Value, Stop> {
        let own = match &value {
            Value::String(text) => text.len() as u64,
            Value::List(list) => list.len() as u64 * Shape::BASE,
            Value::Context(context) => context.len() as u64 * 2 * Shape::BASE,
            _ => 0,
        };
        self.bytes(own)?;
        self.shaped(value)
    }

    /// Checks a value that has been paid for.
    pub(crate) fn shaped(&mut self, value: Value) -> Result<Value, Stop> {
        let shape = value.shape();
        if shape.depth > VALUE_DEPTH_MAX {
            return Err(Box::new(EvalError::ValueDepth(VALUE_DEPTH_MAX)));
        }
        if shape.bytes > self.env.limits.bytes {
            return Err(self.out_of_bytes());
        }
        Ok(value)
    }

    pub(crate) fn warn(&mut self, kind: WarningKind, message: impl FnOnce() -> String) {
        if !self.silent && self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(Warning {
                kind,
                message: message(),
            });
        }
    }

    /// Switches warnings off or on; answers what it was.
    pub(crate) fn set_silent(&mut self, silent: bool) -> bool {
        std::mem::replace(&mut self.silent, silent)
    }

    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }

    /// The next of a sequence that begins at the record's seed (SplitMix64): a replay draws the same.
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
