//! What is wrong with a model, where, and what to do about it.
//!
//! Purpose: one value per finding, with everything a deployment answer, `kapelle check` and an editor need.
//!
//! Invariants: codes are stable for ever (a retired number is not used again); every diagnostic has a line; a document
//! with an error-severity diagnostic yields no process, one with only warnings does.
//!
//! Deliberately absent: colours, JSON and translation. Edges do that.

use std::fmt;
use std::sync::Arc;

mod code;

pub use code::Code;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The model runs, but part of it has no effect or looks unintended.
    Warning,
    /// The model is refused.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub file: Arc<str>,
    /// 1-based.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
    /// Id of the nearest element that has one; absent for findings about the file.
    pub element_id: Option<Arc<str>>,
    /// Name of that element's XML tag, such as `serviceTask`.
    pub element_kind: Option<Arc<str>>,
    /// Where below that element, such as `task > extensionElements > taskDefinition`; empty for findings about the file.
    pub path: String,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// How to put it right: a sentence.
    pub help: String,
}

impl Diagnostic {
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// For people in a terminal: one line, and one for the remedy.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}[{}]: ",
            self.file, self.line, self.column, self.severity, self.code
        )?;
        if let (Some(kind), Some(id)) = (&self.element_kind, &self.element_id) {
            write!(f, "{kind} '{id}': ")?;
        }
        f.write_str(&self.message)?;
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}

/// The errors of one resource in the shape Camunda's clients see in a refused deployment (camunda8.md appendix E).
#[must_use]
pub fn deployment_text(resource_name: &str, diagnostics: &[Diagnostic]) -> String {
    let mut out = format!("'{resource_name}': ");
    for diagnostic in diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
    {
        let Diagnostic {
            path,
            message,
            code,
            line,
            ..
        } = diagnostic;
        if path.is_empty() {
            out.push_str(&format!("- ERROR: {message} [{code}, line {line}]\n"));
        } else {
            out.push_str(&format!(
                "- Element: {path}\n    - ERROR: {message} [{code}, line {line}]\n"
            ));
        }
    }
    out
}
