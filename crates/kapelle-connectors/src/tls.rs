//! Whom TLS trusts: the system's certificates, and those of a private authority where a file names them.
//!
//! **Invariant**: a file that is given is used or is an error; it never silently trusts less or more than was asked for.
//!
//! Deliberately absent: a switch that trusts everybody, and certificates of our own (mutual TLS).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why the certificates of a private authority can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("read the certificates in {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("read the certificates in {}: {reason}", path.display())]
    NotCertificates { path: PathBuf, reason: String },
}

/// The certificates in a file, as text (PEM). At least one is in it.
pub fn read(path: &Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    certificates(path, &text)?;
    Ok(text)
}

/// How a client meets servers. Where the system has no certificates and no file is given, every server is unknown.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // Some of a system's certificates are always too odd for webpki; one that matters is missed when it is needed.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        for certificate in certificates(path, &read(path)?)? {
            roots
                .add(certificate)
                .map_err(|error| Error::NotCertificates {
                    path: path.to_owned(),
                    reason: error.to_string(),
                })?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("invariant: ring has the cipher suites of the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn certificates(path: &Path, text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wrong = |reason: String| Error::NotCertificates {
        path: path.to_owned(),
        reason,
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there is none (BEGIN CERTIFICATE)".to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_certificates_is_an_error_that_names_it() {
        let missing = client_config(Some(Path::new("/no/such/file"))).unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("read the certificates in /no/such/file: ")
        );
        let path = std::env::temp_dir().join(format!("kapelle-ca-{}", std::process::id()));
        for (text, reason) in [
            ("", "there is none (BEGIN CERTIFICATE)"),
            ("hello", "there is none (BEGIN CERTIFICATE)"),
            (
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
                "",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = client_config(Some(&path)).unwrap_err().to_string();
            assert!(error.ends_with(reason), "{error}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
