//! The archive: every document by its SHA-256, on stable storage before the ledger names it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use object_store::ObjectStoreExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;

use crate::domain::document::{Pdf, Sha256Hash};

/// A failure of the archive. The variants are operations.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be made or opened.
    #[error("cannot open the archive `{}`: is it there, and may this user write to it?", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A document cannot be written.
    #[error("cannot archive the document {sha256}: is the disk full, and may this user write to the archive?")]
    Write {
        /// The document's hash.
        sha256: Sha256Hash,
        /// Why not.
        source: object_store::Error,
    },
    /// A document cannot be read back.
    #[error("cannot read the document {sha256} from the archive")]
    Read {
        /// The document's hash.
        sha256: Sha256Hash,
        /// Why not.
        source: object_store::Error,
    },
    /// A document is not what was archived.
    #[error("the archived document {0} was changed on disk: put it back from a backup")]
    Changed(Sha256Hash),
}

/// A folder of documents.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    store: LocalFileSystem,
}

impl Archive {
    /// Opens the folder, and makes it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made or is not a folder.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| failed(source.into()))?;
        let store = LocalFileSystem::new_with_prefix(path).map_err(|source| failed(source.into()))?;
        Ok(Self { path: path.to_owned(), store: store.with_fsync(true) })
    }

    /// Whether no document was ever archived here.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn is_empty(&self) -> Result<bool, Error> {
        let entries = std::fs::read_dir(&self.path);
        let entries = entries.map_err(|source| Error::Open { path: self.path.clone(), source: source.into() })?;
        // A volume of its own may hold other things, such as `lost+found`.
        let is_ours = |name: &str| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(!entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_ours)))
    }

    /// Writes a document and waits until it is on stable storage. Writing the same document again changes nothing.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put(&self, pdf: &Pdf) -> Result<Sha256Hash, Error> {
        let sha256 = pdf.sha256();
        let written = self.store.put(&key(sha256), pdf.bytes().to_vec().into()).await;
        written.map(|_| sha256).map_err(|source| Error::Write { sha256, source })
    }

    /// Reads a document and checks its hash.
    ///
    /// # Errors
    /// If it is not there or not what was archived.
    pub async fn get(&self, sha256: Sha256Hash) -> Result<Vec<u8>, Error> {
        let failed = |source| Error::Read { sha256, source };
        let object = self.store.get(&key(sha256)).await.map_err(failed)?;
        let bytes = object.bytes().await.map_err(failed)?.to_vec();
        if Sha256Hash::of(&bytes) == sha256 { Ok(bytes) } else { Err(Error::Changed(sha256)) }
    }
}

/// `ab/abcdef….pdf`: no folder grows without bound.
fn key(sha256: Sha256Hash) -> Key {
    let name = sha256.to_string();
    Key::from(format!("{}/{name}.pdf", &name[..2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pdf() -> Pdf {
        Pdf::new([b"%PDF-1.7\n".as_slice(), &[b' '; 600], b"\n%%EOF\n"].concat()).unwrap()
    }

    #[tokio::test]
    async fn gives_back_what_was_put() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(&folder.path().join("new/archive")).unwrap();
        std::fs::create_dir(folder.path().join("new/archive/lost+found")).unwrap();
        assert!(archive.is_empty().unwrap());
        let sha256 = archive.put(&pdf()).await.unwrap();
        assert!(!archive.is_empty().unwrap());
        assert_eq!(archive.put(&pdf()).await.unwrap(), sha256);
        assert_eq!(archive.get(sha256).await.unwrap(), pdf().bytes());
    }

    #[tokio::test]
    async fn notices_a_changed_and_a_missing_document() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(folder.path()).unwrap();
        let sha256 = archive.put(&pdf()).await.unwrap();
        let name = sha256.to_string();
        let file = folder.path().join(&name[..2]).join(format!("{name}.pdf"));
        std::fs::write(&file, b"something else").unwrap();
        assert!(matches!(archive.get(sha256).await, Err(Error::Changed(_))));
        std::fs::remove_file(file).unwrap();
        assert!(matches!(archive.get(sha256).await, Err(Error::Read { .. })));
    }
}
