//! Where a server is.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// `http://host:port/prefix` or `https://…`, also accepted as `host:port` and with the `/v2` that Camunda's clients put behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    is_secure: bool,
    host: String,
    port: u16,
    prefix: String,
}

/// Of the REST API.
const DEFAULT_PORT: u16 = 8080;
/// A server with TLS stands behind something that listens where everybody does.
const DEFAULT_SECURE_PORT: u16 = 443;

impl Address {
    /// As the socket and the `Host` header want it.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether it wants TLS.
    pub(crate) const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Name or address alone, as a certificate has it.
    pub(crate) fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// What stands before every path; without a slash at its end.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.prefix)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Address {
            address: text.to_owned(),
            reason,
        };
        let (is_secure, rest) = match text.trim().split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err(wrong("it must begin with http:// or https://")),
            None => (false, text.trim()),
        };
        let default_port = if is_secure {
            DEFAULT_SECURE_PORT
        } else {
            DEFAULT_PORT
        };
        let (authority, path) = rest
            .find('/')
            .map_or((rest, ""), |slash| rest.split_at(slash));
        let ends_with_port = authority
            .rsplit_once(':')
            .filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
        let (host, port) = match ends_with_port {
            Some((host, port)) => (
                host,
                port.parse()
                    .map_err(|_| wrong("its port is no number up to 65535"))?,
            ),
            None => (authority, default_port),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        if host.is_empty() || !host.chars().all(fits) {
            return Err(wrong("its host is no name or address"));
        }
        if !path
            .chars()
            .all(|c| c.is_ascii_graphic() && !"?#\"<>\\^`{|}".contains(c))
        {
            return Err(wrong("its path has characters that no path has"));
        }
        let path = path.trim_end_matches('/');
        let prefix = path.strip_suffix("/v2").unwrap_or(path).to_owned();
        Ok(Self {
            is_secure,
            host: host.to_owned(),
            port,
            prefix,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match text.parse::<Address>() {
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_camundas_clients_are_given_is_understood() {
        check("http://localhost:8080", "http://localhost:8080");
        check("http://localhost:8080/v2/", "http://localhost:8080");
        check("http://gate/engine/v2", "http://gate:8080/engine");
        check("localhost:9000", "http://localhost:9000");
        check("http://[::1]:8080", "http://[::1]:8080");
        check("https://gate/v2", "https://gate:443");
        check("https://localhost:8443", "https://localhost:8443");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        check(
            "amqp://x",
            "\"amqp://x\" is no address of a server: it must begin with http:// or https://",
        );
        check(
            "http://x:port",
            "\"http://x:port\" is no address of a server: its port is no number up to 65535",
        );
        check(
            "",
            "\"\" is no address of a server: its host is no name or address",
        );
    }
}
