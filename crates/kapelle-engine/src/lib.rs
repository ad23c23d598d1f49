//! Commands in, events out, state: the deterministic heart of Kapelle.
