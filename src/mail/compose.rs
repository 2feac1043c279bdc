//! The MIME message: headers, alternative text and HTML, attachments last.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox, Message, MessageBuilder, MultiPart, SinglePart};

use crate::config::Smtp;
use crate::domain::label::Label;
use crate::domain::mail::{ArchivedDocument, Frozen, Mail};
use crate::domain::recipients::Address;

use super::template::{Rendered, Templates};
use super::{Error, freeze};

/// The longest attachment name, in characters.
const MAX_FILE_NAME: usize = 64;

/// Composes a mail and fixes its bytes. The same arguments give the same bytes.
///
/// `attachments` are the documents' bytes, in the order of `mail.documents`.
///
/// # Errors
/// If a part of the mail is not acceptable; then the delivery needs a person.
pub fn compose(
    mail: &Mail,
    attachments: &[Vec<u8>],
    smtp: &Smtp,
    templates: &Templates,
    date: Timestamp,
) -> Result<Frozen, Error> {
    let Rendered { subject, text, html } = templates.render(mail)?;
    let alternative = MultiPart::alternative()
        .boundary(boundary(mail, "alternative"))
        .singlepart(text_part(ContentType::TEXT_PLAIN, text)?)
        .singlepart(text_part(ContentType::TEXT_HTML, html)?);
    let mut mixed = MultiPart::mixed().boundary(boundary(mail, "mixed")).multipart(alternative);
    let mut names: Vec<String> = Vec::new();
    for (n, document) in mail.documents.iter().enumerate() {
        let name = file_name(mail, document, &names);
        mixed = mixed.singlepart(placeholder_part(mail, n, &name)?);
        names.push(name);
    }
    let message = headers(mail, smtp, &subject, date)?.multipart(mixed).map_err(|e| unacceptable("structure", e))?;
    let bytes = trim_end(message.formatted());
    freeze::freeze(split_at_placeholders(mail, bytes)?, attachments, date)
}

fn unacceptable(part: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Compose { part, source: source.into() }
}

fn headers(mail: &Mail, smtp: &Smtp, subject: &str, date: Timestamp) -> Result<MessageBuilder, Error> {
    let millis = u64::try_from(date.as_millisecond()).unwrap_or(0);
    let mut builder = Message::builder()
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
        .from(mailbox(smtp.from_name.as_ref(), &smtp.from)?)
        .to(mailbox(mail.name.as_ref(), &mail.to)?)
        .subject(subject)
        .message_id(Some(format!("<{}>", mail.message_id)))
        .header(MIME_VERSION_1_0);
    if let Some(reply_to) = &smtp.reply_to {
        builder = builder.reply_to(mailbox(None, reply_to)?);
    }
    if let Some(follows) = &mail.follows {
        builder = builder.in_reply_to(format!("<{follows}>")).references(format!("<{follows}>"));
    }
    for (name, value) in [
        ("X-Invoice-Mailer-Delivery", mail.delivery.as_str()),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply, RN, NRN"),
    ] {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
    }
    Ok(builder)
}

fn mailbox(name: Option<&Label>, address: &Address) -> Result<Mailbox, Error> {
    let name = name.map(|name| name.as_str().to_owned());
    Ok(Mailbox::new(name, address.as_str().parse().map_err(|e| unacceptable("address", e))?))
}

fn text_part(content_type: ContentType, text: String) -> Result<SinglePart, Error> {
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| unacceptable("text", "it cannot be encoded"))?;
    Ok(SinglePart::builder().header(content_type).body(body))
}

/// An attachment whose body is one line that stands for the encoded document.
fn placeholder_part(mail: &Mail, n: usize, name: &str) -> Result<SinglePart, Error> {
    // The name stands in both headers: Exchange reads the disposition first, older readers the type only.
    let content_type = ContentType::parse(&format!("application/pdf; name=\"{name}\""))
        .map_err(|e| unacceptable("attachment name", e))?;
    let line = placeholder(mail, n).into_bytes();
    Ok(SinglePart::builder()
        .header(content_type)
        .header(Attachment(name.to_owned()))
        .body(Body::dangerous_pre_encoded(line, ContentTransferEncoding::Base64)))
}

/// `Content-Disposition: attachment` with an ASCII name on a line of its own. The library's own header would split
/// a name of this length into `filename*0` (RFC 2231), which not every import mailbox reads.
#[derive(Clone)]
struct Attachment(String);

impl Header for Attachment {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Disposition")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Err("attachments are written, not read".into())
    }

    fn display(&self) -> HeaderValue {
        let value = format!("attachment;\r\n filename=\"{}\"", self.0);
        HeaderValue::dangerous_new_pre_encoded(Self::name(), value.clone(), value)
    }
}

fn placeholder(mail: &Mail, n: usize) -> String {
    format!("@attachment {n} of {}@", mail.delivery)
}

fn split_at_placeholders(mail: &Mail, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
    let mut text = String::from_utf8(bytes).map_err(|e| unacceptable("encoding", e))?;
    let mut segments = Vec::new();
    for n in 0..mail.documents.len() {
        let placeholder = placeholder(mail, n);
        let split = text.split_once(&placeholder).map(|(before, after)| (before.to_owned(), after.to_owned()));
        let (before, after) = split.ok_or_else(|| unacceptable("structure", "an attachment got lost"))?;
        segments.push(before.into_bytes());
        text = after;
    }
    segments.push(text.into_bytes());
    Ok(segments)
}

/// Without the last CRLF, which the final dot brings along: so the receiver stores exactly these bytes and one CRLF.
fn trim_end(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.ends_with(b"\r\n") {
        bytes.truncate(bytes.len() - 2);
    }
    bytes
}

/// A boundary that every attempt has in common and no part contains.
fn boundary(mail: &Mail, part: &str) -> String {
    format!("=_{part}_{}", mail.delivery.replace('-', ""))
}

/// `Azure-Invoice_G123456789_2026-11-09.pdf`: ASCII by construction, stable, so that a reader's system spots a copy.
fn file_name(mail: &Mail, document: &ArchivedDocument, taken: &[String]) -> String {
    let kind: String = document.kind.words().split_whitespace().map(capitalised).collect();
    let day = mail.invoice.issued_on().map_or_else(String::new, |day| format!("_{day}"));
    let name = |key: &str| {
        let stem = format!("Azure-{}_{}{key}", safe(&kind, 16), safe(&mail.invoice.name, 24));
        let room = MAX_FILE_NAME - day.len() - ".pdf".len();
        format!("{}{day}.pdf", stem.chars().take(room).collect::<String>())
    };
    let plain = name("");
    let is_free = |name: &String| !taken.contains(name);
    let keyed = || name(&format!("_{}", safe(document.numbers.first().unwrap_or(&document.key), 12)));
    [plain.clone(), keyed()]
        .into_iter()
        .chain((taken.len() + 1..).map(|n| name(&format!("_{n}"))).take(taken.len() + 1))
        .find(is_free)
        .unwrap_or(plain)
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// At most `max` characters, all of them `[A-Za-z0-9.-]`, no dot in front or twice in a row.
fn safe(text: &str, max: usize) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' };
        let stutters = (c == '.' && (safe.is_empty() || safe.ends_with('.'))) || (c == '-' && safe.ends_with('-'));
        if !stutters && safe.len() < max {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests;
