//! What a person sees when a command fails: what, why, and what to do next.

use std::fmt;
use std::path::Path;

use super::exit::Exit;
use super::output::Style;
use crate::client;
use crate::config;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Stable, `KAP-…`; empty for an end that needs no explanation.
    pub(crate) code: &'static str,
    pub(crate) exit: Exit,
    /// What failed: one line.
    pub(crate) what: String,
    /// Where and why.
    pub(crate) details: Vec<String>,
    /// The next thing to do.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: &'static str, exit: Exit, what: impl Into<String>) -> Self {
        Self {
            code,
            exit,
            what: what.into(),
            details: Vec::new(),
            hint: None,
        }
    }

    /// Something on the command line cannot be meant.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new("KAP-2001", Exit::Usage, what)
    }

    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::new(
            "KAP-2002",
            Exit::Usage,
            format!("cannot read {}", path.display()),
        )
        .why(error.to_string())
    }

    /// The operation was tried; its result is bad. What is bad was already said as data.
    pub(crate) fn failed(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(code, Exit::Failed, what)
    }

    pub(crate) fn timeout(what: impl Into<String>) -> Self {
        Self::new("KAP-2103", Exit::Timeout, what)
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new("KAP-2105", Exit::NotFound, what)
    }

    /// Nobody reads what we print any more: no failure, but the end of the command.
    pub(crate) fn unread() -> Self {
        Self::new("", Exit::Ok, "")
    }

    pub(crate) fn interrupted() -> Self {
        Self::new("", Exit::Interrupted, "interrupted")
    }

    #[must_use]
    pub(crate) fn why(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As it is printed to standard error.
    pub(crate) fn render(&self, style: Style) -> String {
        let mut text = match self.code {
            "" => format!("{}\n", self.what),
            code => format!(
                "{} {}\n",
                style.error(&format!("error[{code}]:")),
                self.what
            ),
        };
        for detail in &self.details {
            for line in detail.lines() {
                text.push_str(&format!("  {line}\n"));
            }
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("{} {hint}\n", style.strong("hint:")));
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Style::plain()).trim_end())
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        let code = error.code();
        match error {
            config::Error::Unreadable { path, source } => Self::new(
                code,
                Exit::Usage,
                format!("cannot read the configuration file {}", path.display()),
            )
            .why(source.to_string()),
            config::Error::Syntax {
                path,
                line,
                column,
                message,
            } => Self::new(
                code,
                Exit::Usage,
                format!("{} is not valid TOML", path.display()),
            )
            .why(format!("{}:{line}:{column}: {message}", path.display())),
            config::Error::Invalid { problems } => {
                let mut failure = Self::new(code, Exit::Usage, "the configuration is not valid")
                    .hint("every key is described in docs/reference/config.md; `kapelle config show` prints all of them");
                failure.details = problems.iter().map(config::Problem::to_string).collect();
                failure
            }
        }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        match error {
            client::Error::Address { .. } => Self::usage(error.to_string())
                .hint("an address looks like http://localhost:8080; set it with --address or KAPELLE_ADDRESS"),
            client::Error::Unreachable { .. } => {
                let why = error.why();
                Self::new("KAP-2101", Exit::Unreachable, error.to_string())
                    .why(why)
                    .hint("start a server with `kapelle serve`, or name another one with --address or KAPELLE_ADDRESS")
            }
            client::Error::Certificate { .. } => {
                Self::new("KAP-2108", Exit::Unreachable, error.to_string()).hint(
                    "name the certificate of the authority that signed it with --ca-file or KAPELLE_CA_FILE",
                )
            }
            client::Error::Trust(why) => Self::new("KAP-2002", Exit::Usage, why.to_string()),
            client::Error::Timeout { .. } => Self::timeout(error.to_string()),
            client::Error::NotJson { .. } => Self::failed("KAP-2104", error.to_string())
                .hint("is it a Kapelle or Camunda 8 server that listens there?"),
            client::Error::Problem { status, title, detail } => problem(status, &title, detail),
        }
    }
}

fn problem(status: u16, title: &str, detail: String) -> Failure {
    let what = if detail.is_empty() {
        format!("the server answered {status} {title}")
    } else {
        detail
    };
    match status {
        401 => Failure::new("KAP-2106", Exit::Auth, what)
            .hint("sign in: a token in KAPELLE_TOKEN, or KAPELLE_USER and KAPELLE_PASSWORD"),
        403 => Failure::new("KAP-2106", Exit::Auth, what),
        404 => Failure::not_found(what),
        502 | 503 => Failure::new("KAP-2107", Exit::Unreachable, what)
            .why(format!("{status} {title}"))
            .hint("the server is starting, stopping or over a limit; the same command may work in a moment"),
        408 | 504 => Failure::timeout(what),
        _ => Failure::failed("KAP-2102", what).why(format!("{status} {title}")),
    }
}
