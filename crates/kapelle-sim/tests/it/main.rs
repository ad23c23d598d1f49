//! Short campaigns for everyday, and proof that the simulator sees failures.

mod campaigns;
mod sabotage;
