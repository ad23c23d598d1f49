//! Every stable code of an error has its row on the page that people search, and no row is about a code that is gone.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;

use super::Finding;

const PAGE: &str = "docs/errors/README.md";

/// Diagnostics of models have their codes from the numbers of this enum.
const MODEL_CODES: &str = "crates/kapelle-model/src/diagnostic/code.rs";
const MODEL_FAMILY: &str = "KAP-BPMN";

/// The codes of the sources, each with the place that has it first.
#[derive(Debug, Default)]
pub(super) struct Codes(BTreeMap<String, (String, usize)>);

impl Codes {
    pub(super) fn collect(&mut self, file: &str, source: &str) {
        // What tests write is about these codes or invented.
        if !file.starts_with("crates/") || file.contains("/tests") {
            return;
        }
        for (number, line) in source.lines().enumerate() {
            let of_model = (file == MODEL_CODES)
                .then(|| discriminant(line))
                .flatten()
                .map(|number| format!("{MODEL_FAMILY}-{number:04}"));
            for code in codes(line).into_iter().chain(of_model) {
                let place = (file.to_owned(), number + 1);
                self.0.entry(code).or_insert(place);
            }
        }
    }

    pub(super) fn check(&self, root: &Path, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
        let page = std::fs::read_to_string(root.join(PAGE))
            .with_context(|| format!("failed to read {PAGE}"))?;
        self.compare(&page, findings);
        Ok(())
    }

    fn compare(&self, page: &str, findings: &mut Vec<Finding>) {
        let rows: BTreeMap<String, usize> = page
            .lines()
            .enumerate()
            .filter_map(|(number, line)| {
                let code = line.strip_prefix("| ")?.split(" |").next()?;
                codes(code).pop().map(|code| (code, number + 1))
            })
            .collect();
        for (code, (file, line)) in &self.0 {
            if !rows.contains_key(code) {
                findings.push(Finding {
                    file: file.clone(),
                    line: *line,
                    rule: format!("{code} has no row in {PAGE}"),
                });
            }
        }
        for (code, line) in rows {
            if !self.0.contains_key(&code) {
                findings.push(Finding {
                    file: PAGE.to_owned(),
                    line,
                    rule: format!("no source has {code} any more: say that it is retired, and reserve it in the source"),
                });
            }
        }
    }
}

/// `KAP-1001` and `KAP-STO-04`, but not `KAP-STO` or `KAP-STO-xx`.
fn codes(line: &str) -> Vec<String> {
    line.match_indices("KAP-")
        .filter_map(|(at, _)| {
            let word = &line[at..];
            let end =
                word.find(|c: char| !(c == '-' || c.is_ascii_uppercase() || c.is_ascii_digit()));
            let word = word[..end.unwrap_or(word.len())].trim_end_matches('-');
            let number = word.rsplit('-').next()?;
            let is_code = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
            is_code.then(|| word.to_owned())
        })
        .collect()
}

/// `12` of `    InvalidValue = 12,`.
fn discriminant(line: &str) -> Option<u16> {
    let (name, number) = line.trim().strip_suffix(',')?.split_once(" = ")?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric());
    is_name.then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(sources: &[(&str, &str)], page: &str) -> Vec<String> {
        let mut codes = Codes::default();
        for (file, source) in sources {
            codes.collect(file, source);
        }
        let mut findings = Vec::new();
        codes.compare(page, &mut findings);
        findings
            .into_iter()
            .map(|finding| format!("{}:{}: {}", finding.file, finding.line, finding.rule))
            .collect()
    }

    #[test]
    fn a_code_without_a_row_and_a_row_without_a_code_are_found() {
        let source = (
            "crates/a/src/b.rs",
            "//! KAP-STO-xx, KAP-STO.\n\"KAP-STO-04\" \"KAP-1001: no\"\n",
        );
        let page = "| code | |\n| KAP-1001 | like KAP-9999 |\n| KAP-STO-05 | gone |\n";
        assert_eq!(
            rules(&[source], page),
            [
                "crates/a/src/b.rs:2: KAP-STO-04 has no row in docs/errors/README.md",
                "docs/errors/README.md:3: no source has KAP-STO-05 any more: say that it is retired, and reserve it in the \
                 source",
            ]
        );
    }

    #[test]
    fn the_numbers_of_model_diagnostics_are_codes_and_those_of_tests_are_not() {
        let model = (
            MODEL_CODES,
            "pub enum Code {\n    DuplicateId = 10,\n    let x = y;\n}\n",
        );
        let test = ("crates/a/tests/it/b.rs", "KAP-7777");
        assert_eq!(
            rules(&[model, test], "| KAP-BPMN-0010 | |\n"),
            [] as [&str; 0]
        );
        assert_eq!(rules(&[model], "").len(), 1);
    }
}
