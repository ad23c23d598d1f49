//! TLS in front of something that has none: what a proxy does for a server.

use std::net::TcpListener;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[path = "../../../kapelle-connectors/tests/it/certificates.rs"]
pub(crate) mod certificates;

use self::certificates::Certificates;

/// Takes TLS on a port of this machine, which it returns, and passes on what is inside to that address, for as long as the
/// test runs.
pub(crate) fn in_front_of(address: &str, certificates: &Certificates) -> u16 {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&certificates.server).unwrap()],
            PrivateKeyDer::from_pem_file(&certificates.key).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = address.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (outside, _) = listener.accept().await.unwrap();
                let (acceptor, address) = (acceptor.clone(), address.clone());
                tokio::spawn(async move {
                    // A client that does not trust us ends here.
                    let Ok(mut outside) = acceptor.accept(outside).await else {
                        return;
                    };
                    let mut inside = tokio::net::TcpStream::connect(address).await.unwrap();
                    tokio::io::copy_bidirectional(&mut outside, &mut inside)
                        .await
                        .ok();
                });
            }
        });
    });
    port
}
