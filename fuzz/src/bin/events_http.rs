#![no_main]

kapelle_fuzz::fuzz!(kapelle_fuzz::targets::events::HTTP);
