#![no_main]

kapelle_fuzz::fuzz!(kapelle_fuzz::targets::timer::TIMER);
