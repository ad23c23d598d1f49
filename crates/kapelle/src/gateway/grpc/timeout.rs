//! The deadline that a client sends along: `grpc-timeout`.
//!
//! Clients give up by themselves; the server ends its part as well, so that a request whose reset was lost does not wait
//! for ever, and so that the status is the documented one for clients that wait for an answer.

use std::time::Duration;

use hyper::HeaderMap;
use tonic::Status;

type Answer = hyper::Response<tonic::body::Body>;

/// The client's patience, if it said so: up to eight digits and a unit.
pub(crate) fn client_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_valid = digits.len() <= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| is_valid)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The answer, or DEADLINE_EXCEEDED when the client's time is over before it begins. What a stream sends after it has
/// begun is the client's to cut off.
pub(crate) async fn answer_within(
    timeout: Option<Duration>,
    answer: impl Future<Output = Answer>,
) -> Answer {
    match timeout {
        None => answer.await,
        // Cancel-safe: dropping a request's future is what happens when a client hangs up.
        Some(timeout) => tokio::time::timeout(timeout, answer)
            .await
            .unwrap_or_else(|_| {
                Status::deadline_exceeded(
                    "Expected to handle gRPC request, but its deadline is over",
                )
                .into_http()
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_a_unit_are_a_timeout_and_all_else_is_none() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            client_timeout(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(read("15S"), Some(Duration::from_secs(15)));
        assert_eq!(read("99999999m"), Some(Duration::from_millis(99_999_999)));
        assert_eq!(read("5u"), Some(Duration::from_micros(5)));
        for nonsense in ["", "5", "S", "-1S", "+1S", "1.5S", "999999999S", "1s"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
