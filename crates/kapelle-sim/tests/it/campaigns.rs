//! A campaign that takes seconds, and the promise that a run is a function of its seed.

use kapelle_sim::exercised::Exercised;

/// Some twenty seconds without optimisation of our own crates.
const RUNS: u64 = 60;

#[test]
fn a_short_campaign_finds_nothing_and_exercises_enough() {
    let mut total = Exercised::default();
    for seed in 1..=RUNS {
        match kapelle_sim::run(seed, None) {
            Ok(exercised) => total.add(&exercised),
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("{total}");
    let lacks = total.lacks();
    assert!(lacks.is_empty(), "too little was exercised: {lacks:#?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| kapelle_sim::run(seed, None).map_err(|failure| failure.to_string());
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
