//! Exit codes: part of the interface, documented in `docs/reference/exit-codes.md`.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Ok = 0,
    /// The operation was tried and failed: a refusal, a model with errors, a failed expression.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was tried.
    Usage = 2,
    /// No server there, or it is not ready.
    Unreachable = 3,
    /// The server wants other credentials or permissions.
    Auth = 4,
    NotFound = 5,
    Timeout = 6,
    /// As a shell reports a program that was ended by Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
