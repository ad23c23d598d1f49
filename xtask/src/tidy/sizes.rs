//! How long files and functions may be.

use super::Finding;

/// Without its tests. A file over it holds more than one idea.
const FILE_LINES_MAX: usize = 1_000;

/// Nobody holds more in the head at once. Dispatch tables are exempt, with a reason in a comment above them.
const FUNCTION_LINES_MAX: usize = 100;

/// Marks a function that is a table rather than a text.
const EXEMPT: &str = "// A dispatch table";

pub(super) fn check(file: &str, source: &str, findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = source.lines().collect();
    let body = lines
        .iter()
        .position(|line| *line == "#[cfg(test)]")
        .unwrap_or(lines.len());
    if body > FILE_LINES_MAX {
        findings.push(Finding {
            file: file.to_owned(),
            line: 1,
            rule: format!(
                "{body} lines without tests; {FILE_LINES_MAX} is the limit: split it by idea"
            ),
        });
    }
    // A test may be one long table of cases.
    let is_test = file.contains("/tests/") || file.ends_with("/tests.rs");
    for (start, line) in lines
        .iter()
        .enumerate()
        .take(if is_test { 0 } else { body })
    {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        // rustfmt puts the closing brace at the function's own indentation, and nothing else of the body there.
        let closing = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[start..].iter().position(|l| *l == closing) else {
            continue;
        };
        let exempt = lines[..start]
            .iter()
            .rev()
            .take(8)
            .any(|l| l.trim_start().starts_with(EXEMPT));
        if length > FUNCTION_LINES_MAX && !exempt {
            findings.push(Finding {
                file: file.to_owned(),
                line: start + 1,
                rule: format!("fn {name} has {length} lines; {FUNCTION_LINES_MAX} is the limit"),
            });
        }
    }
}

/// The name, where a line begins a function with a body on further lines.
fn function_name(line: &str) -> Option<&str> {
    let text = line.trim_start();
    let at = text.find("fn ")?;
    let before = &text[..at];
    let qualifiers = before.split_whitespace().all(|word| {
        matches!(word, "pub" | "async" | "const" | "unsafe" | "extern") || word.starts_with("pub(")
    });
    let one_line = text.ends_with('}') || text.ends_with(';');
    if !qualifiers || one_line {
        return None;
    }
    text[at + 3..].split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_long_function_is_found_and_a_dispatch_table_is_not() {
        let long = format!("fn long() {{\n{}}}\n", "    x();\n".repeat(101));
        let mut findings = Vec::new();
        check("a.rs", &long, &mut findings);
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.clear();
        check(
            "a.rs",
            &format!("// A dispatch table: one line a command.\n{long}"),
            &mut findings,
        );
        assert_eq!(findings, []);
    }
}
