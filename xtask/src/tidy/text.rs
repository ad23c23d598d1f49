//! Rules on the text of a source file.

use super::Finding;

pub(super) fn check(file: &str, source: &str, findings: &mut Vec<Finding>) {
    let mut find = |line: usize, rule: &str| {
        findings.push(Finding {
            file: file.to_owned(),
            line: line + 1,
            rule: rule.to_owned(),
        })
    };
    let head = source
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    // What a file of unit tests is for stands in the file that it tests.
    let excused = file.ends_with("/build.rs") || file.ends_with("/tests.rs");
    if !head.is_some_and(|line| line.starts_with("//!")) && !excused {
        find(
            0,
            "a module opens with `//!`: its purpose, its invariant, what is deliberately absent",
        );
    }
    if file.ends_with("/mod.rs") {
        find(0, "no mod.rs: `name.rs` beside `name/`");
    }
    // The rules' own words must not trip over themselves.
    let own = file.starts_with("xtask/src/tidy");
    let mut before = "";
    for (number, line) in source.lines().enumerate() {
        let text = line.trim();
        // A statement of its own begins behind one that has ended.
        let begins =
            before.is_empty() || before.starts_with("//") || before.ends_with([';', '{', '}']);
        before = text;
        if own {
            continue;
        }
        if (text.contains("TODO") || text.contains("FIXME")) && !text.contains("(#") {
            find(number, "a TODO or FIXME names its issue: FIXME(#12)");
        }
        if begins && text.starts_with("matches!(") && text.ends_with(");") {
            find(number, "a bare `matches!(…);` checks nothing: assert it");
        }
        if text.contains("todo!(") || text.contains("unimplemented!(") {
            find(number, "no stubs");
        }
        if text.starts_with("#[ignore") {
            find(
                number,
                "no ignored tests: assert today's result with a FIXME(#n)",
            );
        }
        if text.starts_with("#[allow(") || text.starts_with("#![allow(") {
            find(
                number,
                "`#[expect(lint, reason = …)]` instead of `#[allow]`",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, check};

    fn rules(source: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        check("crates/a/src/b.rs", source, &mut findings);
        findings
    }

    #[test]
    fn each_rule_finds_what_it_is_for() {
        assert_eq!(rules("//! Doc.\n"), []);
        assert_eq!(rules("fn a() {}\n").len(), 1);
        assert_eq!(rules("//! Doc.\n// TODO later\n").len(), 1);
        assert_eq!(rules("//! Doc.\n// FIXME(#3) later\n"), []);
        assert_eq!(rules("//! Doc.\n    matches!(x, Some(_));\n").len(), 1);
        assert_eq!(rules("//! Doc.\n#[ignore]\n").len(), 1);
        assert_eq!(rules("//! Doc.\n#[allow(dead_code)]\n").len(), 1);
    }
}
