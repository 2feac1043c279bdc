//! What one mail says, and its bytes once they are fixed.

use std::fmt;

use jiff::Timestamp;

use super::document::{DocumentKind, Sha256Hash};
use super::invoice::Invoice;
use super::label::Label;
use super::recipients::{Address, MemberKind};

/// A document that lies in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedDocument {
    /// Its key within the invoice.
    pub key: String,
    /// What it is.
    pub kind: DocumentKind,
    /// The numbers printed on it.
    pub numbers: Vec<String>,
    /// Its hash, which names it in the archive.
    pub sha256: Sha256Hash,
    /// Its size.
    pub bytes: u64,
}

/// Everything that the text of a mail is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The delivery's id.
    pub delivery: String,
    /// The Message-ID without angle brackets; the same for every attempt.
    pub message_id: String,
    /// The recipient.
    pub to: Address,
    /// The recipient's display name.
    pub name: Option<Label>,
    /// Who reads the mailbox.
    pub member_kind: MemberKind,
    /// The list that names the recipient.
    pub list: String,
    /// The profile's alias.
    pub profile: String,
    /// 1, or more for an asked-for copy.
    pub generation: u32,
    /// The invoice.
    pub invoice: Invoice,
    /// The documents attached, in order.
    pub documents: Vec<ArchivedDocument>,
    /// The recipient's own earlier accepted Message-ID for this invoice, which this mail follows.
    pub follows: Option<String>,
}

/// The bytes of a mail, fixed before the first attempt: all but the attachments, which come from the archive.
#[derive(Clone, PartialEq, Eq)]
pub struct Frozen {
    /// When they were fixed: also the mail's Date.
    pub frozen_at: Timestamp,
    /// The hash of the whole mail, attachments included.
    pub sha256: Sha256Hash,
    /// What stands before, between and after the encoded attachments: one more than there are attachments.
    pub segments: Vec<Vec<u8>>,
}

impl Frozen {
    /// The segments as one blob, each behind its length in four bytes, big-endian.
    #[must_use]
    pub fn to_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        for segment in &self.segments {
            blob.extend_from_slice(&u32::try_from(segment.len()).unwrap_or(u32::MAX).to_be_bytes());
            blob.extend_from_slice(segment);
        }
        blob
    }

    /// Reads what [`Frozen::to_blob`] wrote; `None` if it is cut.
    #[must_use]
    pub fn segments_of(mut blob: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut segments = Vec::new();
        while !blob.is_empty() {
            let (length, rest) = blob.split_first_chunk::<4>()?;
            let length = u32::from_be_bytes(*length) as usize;
            let (segment, rest) = rest.split_at_checked(length)?;
            segments.push(segment.to_vec());
            blob = rest;
        }
        Some(segments)
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frozen({} segments, {})", self.segments.len(), self.sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_read_back() {
        let segments = vec![b"head".to_vec(), Vec::new(), vec![0; 300]];
        let frozen =
            Frozen { frozen_at: Timestamp::UNIX_EPOCH, sha256: Sha256Hash::of(b""), segments: segments.clone() };
        let blob = frozen.to_blob();
        assert_eq!(Frozen::segments_of(&blob), Some(segments));
        assert_eq!(Frozen::segments_of(&blob[..blob.len() - 1]), None);
        assert_eq!(Frozen::segments_of(&[0, 0]), None);
    }
}
