//! The target that must fail: what it does wrong is chosen by `KAPELLE_FUZZ_PLANTED`, and has to be found by looking for it.
//!
//! If the fuzzer ever passes it, the fuzzer sees nothing.

use std::hint::black_box;

use super::{KIB, MIB};
use crate::Target;

pub const PLANTED: Target = Target {
    name: "planted",
    run,
    seeds: |seeds| seeds.add("sown but not grown"),
    dictionary: "",
    len_max: KIB,
    bytes_max: 16 * MIB,
    cpu_ms_max: 1_000,
};

fn run(input: &[u8]) {
    // Deep enough that only somebody who follows the branches gets here.
    if !(input.first() == Some(&b'w')
        && input.get(1) == Some(&b'e')
        && input.get(2) == Some(&b'e')
        && input.get(3) == Some(&b'd'))
    {
        return;
    }
    match std::env::var("KAPELLE_FUZZ_PLANTED").as_deref() {
        Ok("panic") => panic!("planted"),
        Ok("hang") => loop {
            std::thread::park();
        },
        Ok("slow") => {
            let begun = std::time::Instant::now();
            while begun.elapsed().as_secs() < 3 {
                black_box(begun);
            }
        }
        Ok("memory") => drop(black_box(Vec::<u8>::with_capacity(64 * MIB))),
        Ok("stack") => drop(black_box(deep(u64::MAX))),
        Ok("promise") => {
            let mut sorted = input.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, input, "an input is what it was");
        }
        _ => {}
    }
}

#[expect(unconditional_recursion, reason = "planted")]
fn deep(left: u64) -> u64 {
    black_box(deep(black_box(left) - 1)) + 1
}
