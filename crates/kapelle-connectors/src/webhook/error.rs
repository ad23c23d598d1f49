//! What an answer, or its absence, means for the next attempt.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;

use crate::sink::{SinkError, SinkErrorKind};

/// The longest wait that a receiver can ask for; the outbox has its own end.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The class of an answer: `None` for success. Redirects count as refused: following them is forbidden, and the target is
/// wrong until somebody changes it.
pub(super) fn class_of(status: StatusCode) -> Option<SinkErrorKind> {
    match status.as_u16() {
        200..=299 => None,
        408 => Some(SinkErrorKind::Timeout),
        410 => Some(SinkErrorKind::Gone),
        // 425 Too Early asks for a repetition just as 429 does.
        425 | 429 => Some(SinkErrorKind::Throttled),
        500..=599 => Some(SinkErrorKind::ReceiverFailed),
        _ => Some(SinkErrorKind::Refused),
    }
}

/// `Retry-After`: seconds or a date.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if value.bytes().all(|byte| byte.is_ascii_digit()) {
        value.parse().map(Duration::from_secs).ok()?
    } else {
        let at = httpdate::parse_http_date(value).ok()?;
        at.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// A request that got no answer. The cause is at the end of the chain ("connection refused").
pub(super) fn unanswered(error: &hyper_util::client::legacy::Error) -> SinkError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let doing = if error.is_connect() {
        "connect"
    } else {
        "post"
    };
    SinkError::new(SinkErrorKind::Unreachable, format!("{doing}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_ask_for_a_wait() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let seconds = |value: &str| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:48:37 GMT"), Some(0));
        assert_eq!(seconds("99999999"), Some(86_400));
        assert_eq!(seconds("99999999999999999999999"), None);
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds(""), None);
    }
}
