//! A simulator that cannot fail proves nothing: lies that it has to find. The mutations of `cargo xtask sim --mutants` are the
//! long form.

use kapelle_sim::campaign::Sabotage;

/// How many seeds it may take.
const SEEDS: u64 = 20;

fn found(sabotage: Sabotage) -> kapelle_sim::Failure {
    let failed = (1..=SEEDS).find_map(|seed| kapelle_sim::run(seed, Some(sabotage)).err());
    *failed.expect("the lie is found")
}

#[test]
fn a_disk_that_forgets_what_was_synced_is_found_and_the_run_shortened() {
    let failure = found(Sabotage::DiskForgets);
    assert!(
        failure.why.contains("was committed") || failure.why.contains("do not belong together"),
        "{failure}"
    );
    assert!(failure.script.len() < failure.operations / 10, "{failure}");
    assert!(failure.to_string().contains("cargo xtask sim --seed"));
}

#[test]
fn a_receiver_that_confirms_without_taking_is_found() {
    let failure = found(Sabotage::ReceiversLie);
    assert!(failure.why.contains("no receiver has it"), "{failure}");
}
