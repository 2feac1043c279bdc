//! Single values: text in, domain type out, or a sentence that says what is wrong. Knows no section.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::{Host, Url};

use super::problems::{KeyPath, Report, quoted};
use super::raw::Place;
use super::secret::Secret;
use crate::domain::label::Label;
use crate::domain::recipients::Address;

/// The longest duration taken: far above any use, far below where sums overflow.
const LONGEST: Duration = Duration::from_hours(24 * 3650);

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{} is not a duration: write `30s`, `15m`, `4h` or `5d`", quoted(text));
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let duration = Duration::from_millis(number.saturating_mul(milliseconds));
    if duration.is_zero() || duration > LONGEST {
        return Err(format!("{} is out of range: a duration is longer than nothing and at most 3650d", quoted(text)));
    }
    Ok(duration)
}

pub(super) fn day(text: &str) -> Result<Date, String> {
    let wrong = || format!("{} is not a day: write it as `2026-11-01`", quoted(text));
    if text.len() == 10 { text.parse().map_err(|_| wrong()) } else { Err(wrong()) }
}

/// An alias of the operator: safe in file names, metrics and command lines.
pub(super) fn alias(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is not a usable name: take 1 to 64 of the characters A-Z, a-z, 0-9, `.`, `_` and `-`",
        quoted(text)
    ))
}

/// The name of something in Azure, which becomes a part of an address.
pub(super) fn azure_name(text: &str) -> Result<String, String> {
    if let Some((_, last)) = text.trim_end_matches('/').rsplit_once('/') {
        return Err(format!("is a whole resource id: give its last part only, {}", quoted(last)));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    if (1..=200).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('.') {
        return Ok(text.to_owned());
    }
    Err(format!("{} is not an id of Azure: copy it from the portal", quoted(text)))
}

pub(super) fn address(text: &str) -> Result<Address, String> {
    if let Some((_, domain)) = text.rsplit_once('@') {
        ascii_domain(domain)?;
    }
    text.parse().map_err(|error| format!("not a mail address: {error}"))
}

/// A domain in lower case.
pub(super) fn domain(text: &str) -> Result<String, String> {
    ascii_domain(text)?;
    let probe: Result<Address, _> = format!("a@{text}").parse();
    let probe = probe.map_err(|_| format!("{} is not a domain such as `contoso.example`", quoted(text)))?;
    Ok(probe.domain().to_owned())
}

fn ascii_domain(domain: &str) -> Result<(), String> {
    if domain.is_ascii() {
        return Ok(());
    }
    match Host::parse(domain) {
        Ok(Host::Domain(ascii)) => Err(format!("the domain is not ASCII: write it as punycode, {}", quoted(&ascii))),
        _ => Err("the domain is not ASCII: write it as punycode (`xn--…`)".into()),
    }
}

/// `name@domain`, or `Display name <name@domain>` with or without quotes round the name.
pub(super) fn mailbox(text: &str) -> Result<(Option<Label>, Address), String> {
    let Some((name, bare)) = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) else {
        return Ok((None, address(text)?));
    };
    let name = name.trim();
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    Ok((display_name(name)?, address(bare)?))
}

pub(super) fn display_name(text: &str) -> Result<Option<Label>, String> {
    if text.contains(char::is_control) {
        return Err("the name has control characters or line breaks: take them out".into());
    }
    Ok(Label::non_empty(text))
}

/// A host name or an address; an IPv6 address loses its brackets.
pub(super) fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) && label.len() <= 63
    };
    if bare.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label)) {
        return Ok(bare.to_owned());
    }
    Err(format!("{} is not a host name or address; the port has a key of its own", quoted(text)))
}

pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The root of an HTTP service: https, or http on loopback.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("not a usable address ({why}): write it as `https://management.azure.com`");
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    let host = url.host_str().ok_or_else(|| wrong("it has no host"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => return Err("plain http is for loopback only: use https".into()),
        _ => return Err(wrong("it is not https")),
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("nothing may follow the host and port"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password: use `azure.credential`".into());
    }
    Ok(url)
}

/// `name`, `*.name`, or `host:port` on loopback.
pub(super) fn document_host(text: &str) -> Result<String, String> {
    if let Some((name, port)) = text.rsplit_once(':') {
        if is_loopback(name) && port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Ok(text.to_ascii_lowercase());
        }
        return Err(format!("{}: a port may be given on loopback only; elsewhere it is 443", quoted(text)));
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    let usable = host(name).is_ok() && (name.contains('.') || (is_loopback(name) && name == text));
    if !usable || (name != text && domain(name).is_err()) {
        return Err(format!("{} is not a host: write `name.example` or `*.name.example`", quoted(text)));
    }
    Ok(text.to_ascii_lowercase())
}

/// `sqlite:///absolute/path` or `sqlite:relative/path`.
pub(super) fn sqlite_path(text: &str) -> Result<PathBuf, String> {
    const FORMS: &str = "write `sqlite:///absolute/path` or `sqlite:relative/path`";
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        return Err(format!("PostgreSQL is not supported by this version: {FORMS}"));
    }
    let rest = text.strip_prefix("sqlite:").ok_or_else(|| format!("not the address of a ledger: {FORMS}"))?;
    if rest.starts_with("///") {
        return absolute_path(&format!("file:{rest}")).ok_or_else(|| format!("not the path of a file: {FORMS}"));
    }
    let is_file = !rest.is_empty() && !rest.starts_with([':', '/']) && !rest.contains(['?', '#', '%', '\0']);
    if is_file && !rest.ends_with('/') { Ok(rest.into()) } else { Err(format!("not the path of a file: {FORMS}")) }
}

/// `file:///absolute/folder`.
pub(super) fn folder(text: &str) -> Result<PathBuf, String> {
    const FORM: &str = "write `file:///absolute/folder`";
    if text.split_once("://").is_some_and(|(scheme, _)| matches!(scheme, "s3" | "az" | "gs")) {
        return Err(format!("object stores are not supported by this version: {FORM}"));
    }
    absolute_path(text).ok_or_else(|| format!("not the address of a folder: {FORM}"))
}

fn absolute_path(text: &str) -> Option<PathBuf> {
    let url = Url::parse(text).ok().filter(|_| text.starts_with("file:///") && !text.contains("%00"))?;
    let is_path = url.query().is_none() && url.fragment().is_none() && url.path() != "/";
    url.to_file_path().ok().filter(|_| is_path)
}

/// A file with certificates in PEM.
pub(super) fn certificates(text: &str) -> Result<PathBuf, String> {
    let pem = std::fs::read(text).map_err(|error| format!("cannot read {}: {error}", quoted(text)))?;
    let mut found = CertificateDer::pem_slice_iter(&pem).peekable();
    if found.peek().is_some() && found.all(|certificate| certificate.is_ok()) {
        return Ok(text.into());
    }
    Err(format!("{} holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)", quoted(text)))
}

/// A secret's place, tried at once; `loopback`: the value itself may stand in the file.
pub(super) fn secret(report: &mut Report<'_>, place: &Place, loopback: bool, at: &KeyPath) -> Option<Secret> {
    const PLACES: &str = "use `{ file = \"…\" }` or `{ env = \"…\" }`";
    let secret = match place {
        Place::Inline(value) if loopback => Secret::Inline(value.clone().into()),
        Place::Inline(_) => {
            report.push(at, format!("a secret may stand in the configuration for loopback use only: {PLACES}"));
            return None;
        }
        Place::Named(named) => match (&named.file, &named.env) {
            (Some(file), None) => Secret::File(file.into()),
            (None, Some(name)) if !name.is_empty() && !name.contains(['=', '\0']) => Secret::Env(name.clone()),
            (None, Some(_)) => {
                report.push(at, "not the name of an environment variable");
                return None;
            }
            (Some(_), Some(_)) => {
                report.push(at, "`file` and `env` exclude each other: keep one");
                return None;
            }
            (None, None) => {
                report.missing(at, PLACES);
                return None;
            }
        },
    };
    if !report.tries_secrets {
        return Some(secret);
    }
    match secret.read() {
        Ok(_) => Some(secret),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            report.push(at, format!("{error}{cause}"));
            None
        }
    }
}
