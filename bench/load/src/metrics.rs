//! Counters of a server's metrics page, in Prometheus' text format. One plain request by hand: an HTTP client would be a
//! dependency for twenty lines.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::Failure;

/// The value of each counter, summed over its labels; 0 where the page does not have it yet.
pub(crate) fn read(url: &str, names: &[String]) -> Result<Vec<f64>, Failure> {
    let page = get(url)?;
    Ok(names.iter().map(|name| sum(&page, name)).collect())
}

fn get(url: &str) -> Result<String, Failure> {
    let rest = url
        .strip_prefix("http://")
        .ok_or("--metrics must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, "metrics"));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0, so that the answer ends with the connection and is not chunked.
    write!(
        stream,
        "GET /{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("{url} gave no HTTP answer"))?;
    if !head
        .lines()
        .next()
        .is_some_and(|line| line.contains(" 200"))
    {
        let status = head.lines().next().unwrap_or_default();
        return Err(format!("{url} answered {status}").into());
    }
    Ok(body.to_owned())
}

fn sum(page: &str, name: &str) -> f64 {
    page.lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_counter_is_summed_over_its_labels_and_no_other_counter() {
        let page = "# HELP syncs_total x\nsyncs_total{kind=\"a b\"} 2\nsyncs_total{kind=\"c\"} 3.5\nsyncs_total_more 7\n";
        assert!((sum(page, "syncs_total") - 5.5).abs() < f64::EPSILON);
        assert!((sum("syncs_total 4\n", "syncs_total") - 4.0).abs() < f64::EPSILON);
        assert!(sum(page, "other").abs() < f64::EPSILON);
    }
}
