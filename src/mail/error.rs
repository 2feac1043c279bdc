//! What can go wrong before a word is said to the relay.

use std::path::PathBuf;

/// A failure of composing a mail or of preparing the relay's connection. The variants are operations.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A template does not render.
    #[error("cannot render the template {name}")]
    Render {
        /// The template.
        name: &'static str,
        /// Why not.
        source: minijinja::Error,
    },
    /// A part of the message cannot be built.
    #[error("cannot compose the mail: its {part} is not acceptable")]
    Compose {
        /// Which part.
        part: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The finished bytes break a rule of RFC 5322.
    #[error("the composed mail breaks RFC 5322: {0}")]
    Malformed(String),
    /// The bytes are not the ones that were fixed.
    #[error("the mail put together again is not the one that was fixed (SHA-256 {found} instead of {fixed})")]
    Changed {
        /// The hash that was fixed.
        fixed: String,
        /// The hash found.
        found: String,
    },
    /// The authorities cannot be read.
    #[error("cannot read the certificate authorities in `{}` (smtp.ca_file)", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system has no authorities.
    #[error("the system has no certificate authorities: install `ca-certificates` or set smtp.ca_file")]
    NoAuthorities,
    /// TLS cannot be set up.
    #[error("cannot set up TLS for the relay {host}")]
    Tls {
        /// The relay.
        host: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
