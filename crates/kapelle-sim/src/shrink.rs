//! Makes a failing script short by leaving operations out.
//!
//! Invariant: what is returned was played and failed. Bounded by plays, not by time, so that the same seed gives the same
//! short script.

use crate::script::Operation;

/// Leaves out ever smaller pieces as long as `fails` says that what is left still fails.
pub(crate) fn shrink(
    script: &[Operation],
    plays_max: u32,
    fails: &mut dyn FnMut(&[Operation]) -> bool,
) -> Vec<Operation> {
    let mut script = script.to_vec();
    let mut plays = 0;
    let mut size = script.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < script.len() {
            if plays == plays_max {
                return script;
            }
            plays += 1;
            let end = (at + size).min(script.len());
            let mut candidate = script.clone();
            candidate.drain(at..end);
            if fails(&candidate) {
                script = candidate;
                shorter = true;
            } else {
                at = end;
            }
        }
        if size == 1 && !shorter {
            break;
        }
        size = if shorter && size == 1 { 1 } else { size / 2 };
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Kind, generate};

    #[test]
    fn only_what_a_failure_needs_is_left() {
        let script = generate(3);
        let needs = |script: &[Operation]| {
            let count = |kind| script.iter().filter(|one| one.kind == kind).count();
            count(Kind::Crash) >= 2 && count(Kind::Create) >= 1
        };
        assert!(needs(&script));
        let short = shrink(&script, 2_000, &mut |script| needs(script));
        assert!(needs(&short));
        assert_eq!(short.len(), 3);
    }
}
