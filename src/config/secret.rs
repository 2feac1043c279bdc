//! Secrets: named by file, systemd credential or environment variable, read when used, never printed.

use std::env;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use secrecy::SecretString;

/// Where a secret is. `Debug` shows the place, never the value.
#[derive(Clone)]
pub enum Secret {
    /// A file; a relative name is looked up in `$CREDENTIALS_DIRECTORY`.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// The value itself, for loopback use only.
    Inline(SecretString),
}

/// Why a secret cannot be had. Names the place, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than owner and group can read the file.
    #[error("the secret file `{}` is readable by others (mode {mode:o}): run `chmod o-rwx` on it", path.display())]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A relative name without `$CREDENTIALS_DIRECTORY`.
    #[error(
        "the secret file `{}` is a relative name, which is looked up in $CREDENTIALS_DIRECTORY, but that is not set: \
         give an absolute path or start the program with systemd's LoadCredential=", path.display()
    )]
    NoCredentialsDirectory {
        /// The name.
        path: PathBuf,
    },
    /// The environment variable is unset.
    #[error("the environment variable `{0}` is not set")]
    Env(String),
    /// Nothing but blanks.
    #[error("the secret in {0} is empty")]
    Empty(String),
}

impl Secret {
    /// Reads the secret; one line break at its end is dropped.
    ///
    /// # Errors
    /// Says where the secret was looked for and what is wrong there.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let value = match self {
            Self::File(name) => read_file(name)?,
            Self::Env(name) => env::var(name).map_err(|_| SecretError::Env(name.clone()))?,
            Self::Inline(value) => return Ok(value.clone()),
        };
        let value = value.strip_suffix('\n').unwrap_or(&value);
        let value = value.strip_suffix('\r').unwrap_or(value);
        if value.trim().is_empty() {
            return Err(SecretError::Empty(format!("{self:?}")));
        }
        Ok(SecretString::from(value))
    }
}

fn read_file(name: &PathBuf) -> Result<String, SecretError> {
    let path = if name.is_absolute() {
        name.clone()
    } else {
        let folder = env::var_os("CREDENTIALS_DIRECTORY");
        let folder = folder.ok_or_else(|| SecretError::NoCredentialsDirectory { path: name.clone() })?;
        PathBuf::from(folder).join(name)
    };
    let read = |path: &PathBuf| fs::metadata(path).and_then(|meta| Ok((meta.mode(), fs::read_to_string(path)?)));
    let (mode, value) = read(&path).map_err(|source| SecretError::Read { path: path.clone(), source })?;
    if mode & 0o007 != 0 {
        return Err(SecretError::ReadableByOthers { path, mode: mode & 0o777 });
    }
    Ok(value)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::Inline(_) => f.write_str("(redacted)"),
        }
    }
}
