//! Listening: all ports or none, on loopback only, and a clear word about a port that is taken.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{Bound, ServeError};
use crate::config::{self, Address};

/// The bound sockets.
pub(super) struct Listeners {
    pub(super) rest: TcpListener,
    pub(super) grpc: TcpListener,
    pub(super) management: TcpListener,
}

impl Listeners {
    /// Their addresses, with the ports that the system chose.
    pub(super) fn bound(&self) -> Result<Bound, ServeError> {
        let address = |listener: &TcpListener| {
            listener.local_addr().map_err(|source| ServeError::Bind {
                listener: "a bound socket",
                setting: "server",
                address: "?".to_owned(),
                source,
            })
        };
        Ok(Bound {
            rest: address(&self.rest)?,
            grpc: address(&self.grpc)?,
            management: address(&self.management)?,
        })
    }
}

/// Binds all three.
pub(super) async fn all(config: &config::Server) -> Result<Listeners, ServeError> {
    Ok(Listeners {
        rest: one("REST", "server.rest-address", &config.rest_address).await?,
        grpc: one("gRPC", "server.grpc-address", &config.grpc_address).await?,
        management: one(
            "management",
            "server.management-address",
            &config.management_address,
        )
        .await?,
    })
}

async fn one(
    listener: &'static str,
    setting: &'static str,
    address: &Address,
) -> Result<TcpListener, ServeError> {
    let failed = |source| ServeError::Bind {
        listener,
        setting,
        address: address.to_string(),
        source,
    };
    let resolved: Vec<SocketAddr> = tokio::net::lookup_host(address.to_bind())
        .await
        .map_err(failed)?
        .collect();
    // All that the name stands for: a name that means loopback today and more tomorrow is caught tomorrow.
    if let Some(address) = resolved
        .iter()
        .copied()
        .find(|address| !address.ip().is_loopback())
    {
        return Err(ServeError::NotLoopback {
            listener,
            setting,
            address,
        });
    }
    match TcpListener::bind(resolved.as_slice()).await {
        Ok(bound) => Ok(bound),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let port = resolved.first().map_or(0, SocketAddr::port);
            Err(ServeError::PortInUse {
                listener,
                setting,
                host: address.host.clone(),
                port,
                who: holder(port),
            })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Who listens on that port, as far as the system tells us: Linux does for programs of the same user.
fn holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .find_map(|table| listening_inode(table, port))?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name().to_string_lossy().into_owned();
        let Ok(pid) = name.parse::<u32>() else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let is_holder = files.flatten().any(|file| {
            std::fs::read_link(file.path())
                .is_ok_and(|target| target.as_os_str() == wanted.as_str())
        });
        if is_holder {
            let command = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("process {pid} ({})", command.trim()));
        }
    }
    None
}

/// The inode of the socket that listens on that port, from the system's table: fields are separated by spaces, the second
/// is `address:port` in hexadecimal, the fourth the state (`0A` = listening), the tenth the inode.
fn listening_inode(table: &str, port: u16) -> Option<String> {
    let text = std::fs::read_to_string(table).ok()?;
    let suffix = format!(":{port:04X}");
    text.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A";
        is_it.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Port;

    fn address(host: &str, port: Port) -> Address {
        Address {
            host: host.to_owned(),
            port,
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_its_holder_and_the_way_out() {
        let taken = one(
            "gRPC",
            "server.grpc-address",
            &address("127.0.0.1", Port::Auto),
        )
        .await
        .unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = one(
            "gRPC",
            "server.grpc-address",
            &address("127.0.0.1", Port::Fixed(port)),
        )
        .await
        .unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("the gRPC port {port} on 127.0.0.1 is in use")),
            "{text}"
        );
        if cfg!(target_os = "linux") {
            assert!(
                text.contains(&format!("process {}", std::process::id())),
                "{text}"
            );
        }
        assert_eq!(error.code(), "KAP-3001");
        assert!(error.hint().unwrap().contains("127.0.0.1:auto"));
    }

    #[tokio::test]
    async fn addresses_beyond_loopback_are_refused() {
        let error = one(
            "REST",
            "server.rest-address",
            &address("0.0.0.0", Port::Auto),
        )
        .await
        .unwrap_err();
        assert_eq!(error.code(), "KAP-3003");
        assert!(error.to_string().contains("0.0.0.0"), "{error}");
    }
}
