#![no_main]

kapelle_fuzz::fuzz!(kapelle_fuzz::targets::event_store::EVENT_STORE);
