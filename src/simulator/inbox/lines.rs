//! Lines and bodies from a connection, never more of them than fits.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::MAX_MAIL;

/// The longest command line: generous beside the 512 bytes of RFC 5321, section 4.5.3.1.4.
const MAX_LINE: u64 = 4096;
/// Long lines of a body are read in pieces of this.
const PIECE: u64 = 64 * 1024;

/// A command line without its end; `None` at the end of the connection.
pub(super) async fn command(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    (&mut *from).take(MAX_LINE).read_until(b'\n', &mut line).await?;
    if line.pop_if(|byte| *byte == b'\n').is_none() {
        let too_long = io::Error::new(io::ErrorKind::InvalidData, "the command line is too long");
        return if line.is_empty() { Ok(None) } else { Err(too_long) };
    }
    line.pop_if(|byte| *byte == b'\r');
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// How a body ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// With the dot; the mail without dot stuffing.
    Whole(Vec<u8>),
    /// With the dot, but larger than allowed.
    TooLarge,
    /// The connection ended before the dot.
    Cut,
}

/// A body up to the line with the dot alone (RFC 5321, section 4.5.2). Only CRLF ends a line.
pub(super) async fn body(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Body> {
    let mut body = Vec::new();
    let mut piece = Vec::new();
    let mut too_large = false;
    let mut at_line_start = true;
    let mut last = 0;
    loop {
        piece.clear();
        if (&mut *from).take(PIECE).read_until(b'\n', &mut piece).await? == 0 {
            return Ok(Body::Cut);
        }
        if at_line_start && piece == b".\r\n" {
            return Ok(if too_large { Body::TooLarge } else { Body::Whole(body) });
        }
        let kept = if at_line_start && piece[0] == b'.' { &piece[1..] } else { &piece[..] };
        too_large |= body.len() + kept.len() > MAX_MAIL;
        if too_large {
            body = Vec::new();
        } else {
            body.extend_from_slice(kept);
        }
        let before_last = piece.len().checked_sub(2).map_or(last, |at| piece[at]);
        last = piece[piece.len() - 1];
        at_line_start = before_last == b'\r' && last == b'\n';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(sent: &[u8]) -> Body {
        body(&mut &*sent).await.unwrap()
    }

    #[tokio::test]
    async fn a_body_loses_its_dot_stuffing_and_nothing_else() {
        let sent = b"Subject: x\r\n\r\n..dot\r\n.a\r\na.\r\n\n.\n.\r\n\xff\r\n.\r\nQUIT\r\n";
        let kept = b"Subject: x\r\n\r\n.dot\r\na\r\na.\r\n\n.\n.\r\n\xff\r\n";
        assert_eq!(read(sent).await, Body::Whole(kept.to_vec()));
        assert_eq!(read(b".\r\n").await, Body::Whole(vec![]));
        assert_eq!(read(b"no end\r\n").await, Body::Cut);
    }

    #[tokio::test]
    async fn a_line_longer_than_a_piece_stays_whole() {
        for length in [usize::try_from(PIECE).unwrap() - 1, usize::try_from(PIECE).unwrap(), 200_000] {
            let line = [vec![b'x'; length], b"\r\n".to_vec()].concat();
            let sent = [line.as_slice(), b".\r\n"].concat();
            assert_eq!(read(&sent).await, Body::Whole(line));
        }
    }

    #[tokio::test]
    async fn too_large_a_body_is_read_but_not_kept() {
        let sent =
            [[vec![b'x'; 60_000], b"\r\n".to_vec()].concat().repeat(MAX_MAIL / 60_000 + 1), b".\r\n".to_vec()].concat();
        assert_eq!(read(&sent).await, Body::TooLarge);
    }

    #[tokio::test]
    async fn a_command_has_a_limit() {
        let mut sent = &b"NOOP\r\nQUIT\n"[..];
        assert_eq!(command(&mut sent).await.unwrap().as_deref(), Some("NOOP"));
        assert_eq!(command(&mut sent).await.unwrap().as_deref(), Some("QUIT"));
        assert_eq!(command(&mut sent).await.unwrap(), None);
        assert!(command(&mut &vec![b'x'; 10_000][..]).await.is_err());
    }
}
