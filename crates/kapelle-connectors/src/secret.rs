//! Values that must not be seen: written in the configuration, or in an environment variable or file that it names.
//!
//! **Invariant**: `Debug` never shows the value, and errors name the place, not the content.

use std::fmt;
use std::path::PathBuf;

/// Where a secret is.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Here.
    Plain(String),
    /// In an environment variable.
    Env(String),
    /// In a file; white space around it does not count. It is read anew at every use, so it can be rotated.
    File(PathBuf),
}

/// Why a secret can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The variable is missing or no text.
    #[error("read the environment variable {name}: it is not set, or not UTF-8")]
    Env { name: String },
    /// The file can't be read.
    #[error("read {}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Secret {
    /// The value.
    pub fn reveal(&self) -> Result<String, Error> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Env(name) => std::env::var(name).map_err(|_| Error::Env { name: name.clone() }),
            Self::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|source| Error::File {
                    path: path.clone(),
                    source,
                })?;
                Ok(text.trim().to_owned())
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(…)"),
            Self::Env(name) => write!(f, "Env({name})"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_the_value() {
        assert_eq!(
            format!("{:?}", Secret::Plain("amqp://u:p@h".to_owned())),
            "Plain(…)"
        );
    }

    #[test]
    fn a_missing_place_is_named() {
        let env = Secret::Env("KAPELLE_NO_SUCH_VARIABLE".to_owned())
            .reveal()
            .unwrap_err();
        assert_eq!(
            env.to_string(),
            "read the environment variable KAPELLE_NO_SUCH_VARIABLE: it is not set, or not UTF-8"
        );
        let file = Secret::File("/no/such/file".into())
            .reveal()
            .unwrap_err()
            .to_string();
        assert!(file.starts_with("read /no/such/file: "), "{file}");
    }

    #[test]
    fn a_file_is_read_without_the_white_space_around() {
        let path = std::env::temp_dir().join(format!("kapelle-secret-{}", std::process::id()));
        std::fs::write(&path, " value\n").unwrap();
        let value = Secret::File(path.clone()).reveal();
        std::fs::remove_file(path).unwrap();
        assert_eq!(value.unwrap(), "value");
    }
}
