//! The documents of an invoice: what Azure lists, and the PDF that was fetched.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::label::Label;

/// The longest unknown kind, in characters: it is shown in subjects and file names.
const MAX_OTHER_CHARS: usize = 40;

/// The kind of an invoice or of one of its documents (`documentType`, `documents[].kind`).
///
/// Azure's enumerations are extensible: an unknown value is kept, cleaned and cut to 40 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum DocumentKind {
    /// The invoice itself.
    Invoice,
    /// A note that voids an invoice.
    VoidNote,
    /// A tax receipt.
    TaxReceipt,
    /// A credit note.
    CreditNote,
    /// The summary of an EA invoice.
    Summary,
    /// The transactions of an EA invoice.
    Transactions,
    /// Any other value, as Azure wrote it.
    Other(String),
}

impl DocumentKind {
    const NAMED: [(Self, &'static str, &'static str, &'static str); 6] = [
        (Self::Invoice, "Invoice", "invoice", "Invoice"),
        (Self::VoidNote, "VoidNote", "void_note", "Void note"),
        (Self::TaxReceipt, "TaxReceipt", "tax_receipt", "Tax receipt"),
        (Self::CreditNote, "CreditNote", "credit_note", "Credit note"),
        (Self::Summary, "Summary", "summary", "Summary"),
        (Self::Transactions, "Transactions", "transactions", "Transactions"),
    ];

    /// Reads Azure's spelling (`TaxReceipt`).
    #[must_use]
    pub fn from_azure(text: &str) -> Self {
        let named = Self::NAMED.into_iter().find(|(_, azure, ..)| azure.eq_ignore_ascii_case(text));
        let other = || Self::Other(Label::new(text).as_str().chars().take(MAX_OTHER_CHARS).collect());
        named.map_or_else(other, |(kind, ..)| kind)
    }

    /// Reads the configuration's spelling (`tax_receipt`).
    #[must_use]
    pub fn from_config(text: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(_, _, config, _)| *config == text).map(|(kind, ..)| kind)
    }

    /// Azure's spelling.
    #[must_use]
    pub fn as_azure(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => Self::NAMED.iter().find(|(kind, ..)| kind == known).map_or("", |(_, azure, ..)| azure),
        }
    }

    /// The configuration's spelling; an unknown kind keeps Azure's.
    #[must_use]
    pub fn as_config(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => Self::NAMED.iter().find(|(kind, ..)| kind == known).map_or("", |(_, _, config, _)| config),
        }
    }

    /// The words for a reader (`Tax receipt`).
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => Self::NAMED.iter().find(|(kind, ..)| kind == known).map_or("", |(.., words)| words),
        }
    }
}

impl From<String> for DocumentKind {
    fn from(azure: String) -> Self {
        Self::from_azure(&azure)
    }
}

impl From<DocumentKind> for String {
    fn from(kind: DocumentKind) -> Self {
        kind.as_azure().to_owned()
    }
}

/// A document as listed: not yet fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its key within the invoice: stable from one list to the next (see [`Document::key_of`]).
    pub key: String,
    /// Azure's name, which a download asks for; older answers have none.
    pub name: Option<String>,
    /// What it is.
    pub kind: DocumentKind,
    /// The numbers printed on it; a long EA invoice is split over several.
    pub numbers: Vec<String>,
    /// Azure's own download operation (`documents[].url`), where it gave one: a POST address, not a PDF.
    pub url: Option<String>,
    /// Where the document lies if a system outside Microsoft.Billing holds it (`externalUrl`).
    pub external_url: Option<String>,
    /// The system that holds it (`DRS`, `ENF`), as Azure wrote it.
    pub source: Option<String>,
}

impl Document {
    /// The key of a document: its name, else the `downloadToken` of its address, else its kind and ordinal among
    /// the invoice's nameless documents of that kind.
    #[must_use]
    pub fn key_of(name: Option<&str>, url: Option<&str>, kind: &DocumentKind, ordinal: usize) -> String {
        let token = || {
            let query = url?.split_once('?')?.1;
            query.split('&').find_map(|pair| pair.strip_prefix("downloadToken="))
        };
        match name.filter(|name| !name.is_empty()).or_else(token) {
            Some(key) => key.to_owned(),
            None if ordinal == 0 => kind.as_azure().to_owned(),
            None => format!("{}-{}", kind.as_azure(), ordinal + 1),
        }
    }
}

/// A SHA-256, which names a document in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Hash([u8; 32]);

impl Sha256Hash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of all `parts`, one after the other.
    #[must_use]
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut digest = Sha256::new();
        parts.into_iter().for_each(|part| digest.update(part));
        Self(digest.finalize().into())
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `bytes` as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Why bytes are not the PDF that was promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPdf {
    /// Fewer bytes than any PDF has.
    #[error("it has only {0} bytes")]
    TooShort(usize),
    /// No `%PDF-` in the first 1,024 bytes.
    #[error("it does not begin like a PDF (it begins with {0:?})")]
    NoMagic(String),
    /// No `%%EOF` in the last 1,024 bytes.
    #[error("its end is missing (no %%EOF)")]
    CutOff,
}

/// The bytes of a document, checked to be a whole PDF. What is inside is not interpreted.
#[derive(Clone, PartialEq, Eq)]
pub struct Pdf {
    bytes: Vec<u8>,
    sha256: Sha256Hash,
}

impl Pdf {
    /// The fewest bytes a PDF can have here: a real invoice has thousands.
    pub const MIN_BYTES: usize = 500;

    /// Checks magic, end and size.
    ///
    /// # Errors
    /// Says what is wrong with the bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, NotPdf> {
        let head = &bytes[..bytes.len().min(1024)];
        if !contains(head, b"%PDF-") {
            let begin = String::from_utf8_lossy(&head[..head.len().min(24)]).into_owned();
            return Err(NotPdf::NoMagic(begin));
        }
        if bytes.len() < Self::MIN_BYTES {
            return Err(NotPdf::TooShort(bytes.len()));
        }
        if !contains(&bytes[bytes.len().saturating_sub(1024)..], b"%%EOF") {
            return Err(NotPdf::CutOff);
        }
        let sha256 = Sha256Hash::of(&bytes);
        Ok(Self { bytes, sha256 })
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file's hash.
    #[must_use]
    pub fn sha256(&self) -> Sha256Hash {
        self.sha256
    }
}

impl fmt::Debug for Pdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pdf({} bytes, {})", self.bytes.len(), self.sha256)
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_depend_on_the_order_of_named_documents() {
        let kind = DocumentKind::Invoice;
        for (name, url, ordinal, key) in [
            (Some("12345678"), None, 0, "12345678"),
            (Some(""), Some("https://m/x?api-version=1&downloadToken=Drs_9"), 0, "Drs_9"),
            (None, Some("https://m/x?downloadToken=abc&y=1"), 3, "abc"),
            (None, None, 0, "Invoice"),
            (None, Some("https://m/x"), 1, "Invoice-2"),
        ] {
            assert_eq!(Document::key_of(name, url, &kind, ordinal), key);
        }
    }

    #[test]
    fn only_a_whole_pdf_passes() {
        let whole = |middle: usize| [b"%PDF-1.7\n".as_slice(), &vec![b' '; middle], b"\n%%EOF\n"].concat();
        assert!(Pdf::new(whole(600)).is_ok());
        assert_eq!(Pdf::new(whole(10)), Err(NotPdf::TooShort(26)));
        let mut cut = whole(3000);
        cut.truncate(2000);
        assert_eq!(Pdf::new(cut), Err(NotPdf::CutOff));
        let html = b"<html><body>Sign in</body></html>".repeat(40);
        assert_eq!(Pdf::new(html), Err(NotPdf::NoMagic("<html><body>Sign in</bod".into())));
        assert_eq!(Pdf::new(Vec::new()), Err(NotPdf::NoMagic(String::new())));
    }

    #[test]
    fn a_hash_reads_back() {
        let hash = Sha256Hash::of(b"invoice");
        assert_eq!(Sha256Hash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(Sha256Hash::from_hex("zz"), None);
        assert_eq!(Sha256Hash::from_hex(&"é".repeat(32)), None);
    }

    #[test]
    fn kinds_read_back_in_both_spellings() {
        for (kind, azure, config, _) in DocumentKind::NAMED {
            assert_eq!(DocumentKind::from_azure(azure), kind);
            assert_eq!(DocumentKind::from_config(config), Some(kind.clone()));
            assert_eq!(kind.as_azure(), azure);
        }
        assert_eq!(DocumentKind::from_azure("Nota"), DocumentKind::Other("Nota".into()));
        assert_eq!(DocumentKind::from_azure("No\u{1b}\r\nta"), DocumentKind::Other("No ta".into()));
        assert_eq!(DocumentKind::from_config("nota"), None);
    }
}
