//! The bytes of a mail: fixed once without its attachments, put together again for every attempt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::domain::document::Sha256Hash;
use crate::domain::mail::Frozen;

use super::Error;

/// RFC 2045 6.8: encoded lines have at most 76 characters.
const BASE64_COLUMNS: usize = 76;

/// RFC 5322 2.1.1: a line has at most 998 characters without its CRLF.
const MAX_LINE: usize = 998;

/// Fixes a mail: `segments` are its bytes without the encoded `attachments`, which stand between them.
///
/// # Errors
/// If the bytes break RFC 5322.
pub fn freeze(segments: Vec<Vec<u8>>, attachments: &[Vec<u8>], frozen_at: Timestamp) -> Result<Frozen, Error> {
    check(&segments)?;
    let sha256 = Sha256Hash::of(&join(&segments, attachments));
    Ok(Frozen { frozen_at, sha256, segments })
}

/// Puts a fixed mail together and checks that it is the same.
///
/// # Errors
/// If an attachment is not the one that the mail was fixed with.
pub fn thaw(frozen: &Frozen, attachments: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let bytes = join(&frozen.segments, attachments);
    let found = Sha256Hash::of(&bytes);
    if found == frozen.sha256 {
        return Ok(bytes);
    }
    Err(Error::Changed { fixed: frozen.sha256.to_string(), found: found.to_string() })
}

fn join(segments: &[Vec<u8>], attachments: &[Vec<u8>]) -> Vec<u8> {
    let size: usize = segments.iter().map(Vec::len).chain(attachments.iter().map(|a| a.len() * 7 / 5)).sum();
    let mut bytes = Vec::with_capacity(size);
    let mut attachments = attachments.iter();
    for segment in segments {
        bytes.extend_from_slice(segment);
        if let Some(attachment) = attachments.next() {
            push_base64(&mut bytes, attachment);
        }
    }
    bytes
}

/// Appends `attachment` in lines of 76 characters, without a line break at the end.
fn push_base64(bytes: &mut Vec<u8>, attachment: &[u8]) {
    for (n, line) in attachment.chunks(BASE64_COLUMNS / 4 * 3).enumerate() {
        if n > 0 {
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(STANDARD.encode(line).as_bytes());
    }
}

/// The last gate before bytes are fixed: 7-bit, CRLF only, no long line, each needed header once.
fn check(segments: &[Vec<u8>]) -> Result<(), Error> {
    let malformed = |what: &str| Err(Error::Malformed(what.to_owned()));
    let bytes = segments.concat();
    if !bytes.is_ascii() || bytes.contains(&0) {
        return malformed("it has bytes that are not 7-bit text");
    }
    let text = String::from_utf8_lossy(&bytes);
    if text.split("\r\n").any(|line| line.contains(['\r', '\n'])) {
        return malformed("it has a bare CR or LF");
    }
    if text.split("\r\n").any(|line| line.len() > MAX_LINE) {
        return malformed("it has a line of more than 998 characters");
    }
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let once = ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"];
    for name in once {
        let is_name = |line: &&str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        let count = head.split("\r\n").filter(is_name).count();
        if count != 1 {
            return malformed(&format!("it has the header {name} {count} times"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(more: &str) -> Vec<u8> {
        let head =
            "Date: x\r\nFrom: x\r\nTo: x\r\nSubject: x\r\nMessage-ID: x\r\nMIME-Version: 1.0\r\nContent-Type: x\r\n";
        format!("{head}{more}\r\nbody\r\n").into_bytes()
    }

    #[test]
    fn thawing_gives_the_same_bytes_and_notices_another_attachment() {
        let attachment = vec![0xff; 1000];
        let segments = vec![head(""), b"\r\nend\r\n".to_vec()];
        let frozen = freeze(segments, std::slice::from_ref(&attachment), Timestamp::UNIX_EPOCH).unwrap();
        let bytes = thaw(&frozen, std::slice::from_ref(&attachment)).unwrap();
        assert_eq!(Sha256Hash::of(&bytes), frozen.sha256);
        assert!(bytes.split(|b| *b == b'\n').all(|line| line.len() <= 77));
        assert!(matches!(thaw(&frozen, &[vec![0xfe; 1000]]), Err(Error::Changed { .. })));
    }

    #[test]
    fn what_breaks_rfc_5322_is_not_fixed() {
        for (bytes, says) in [
            (head("X: é\r\n"), "7-bit"),
            (head("X: a\nb\r\n"), "bare"),
            (head("X: a\rb\r\n"), "bare"),
            (head("Subject: again\r\n"), "Subject 2 times"),
            (head(&format!("X: {}\r\n", "a".repeat(999))), "998"),
        ] {
            let error = freeze(vec![bytes], &[], Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
