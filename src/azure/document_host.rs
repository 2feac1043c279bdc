//! Which addresses a document may be fetched from.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::cause::Cause;

/// One entry of `[azure] document_hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostRule {
    /// In lower case, without `*.`; an IPv6 address in brackets.
    host: String,
    /// Whether names below `host` are meant, at any depth, instead of `host` itself.
    below: bool,
    /// The port; 443 unless the entry names one.
    port: u16,
}

impl HostRule {
    /// Reads `host`, `*.host` or `host:port`.
    pub(super) fn new(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        let (text, below) = text.strip_prefix("*.").map_or((text.as_str(), false), |host| (host, true));
        let with_port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        // The last group of a bare IPv6 address is no port.
        let with_port = with_port.filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
        let (host, port) = with_port.unwrap_or((text, 443));
        Self { host: host.to_owned(), below, port }
    }

    /// Whether the entry names this machine.
    pub(super) fn is_loopback(&self) -> bool {
        Url::parse(&format!("http://{}/", self.host)).is_ok_and(|url| is_loopback(&url))
    }

    fn allows(&self, url: &Url) -> bool {
        if url.port_or_known_default() != Some(self.port) {
            return false;
        }
        let host = url.host_str().unwrap_or_default();
        if !self.below {
            return host == self.host;
        }
        let is_name = matches!(url.host(), Some(Host::Domain(_)));
        let prefix = host.strip_suffix(&self.host).and_then(|prefix| prefix.strip_suffix('.'));
        is_name && prefix.is_some_and(|prefix| prefix.split('.').all(|label| !label.is_empty()))
    }
}

/// Whether the host of `url` is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.octets()[0] == Ipv4Addr::LOCALHOST.octets()[0],
        Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
        None => false,
    }
}

/// Checks an address that Azure gave for a document.
///
/// The host must stand in the text exactly as it will be dialled: no user name, no percent encoding, no other
/// scripts, no backslash, so that no reader of the text can mistake it.
///
/// # Errors
/// [`Cause::DocumentAddress`], which names the host and never the query.
pub(super) fn checked(text: &str, rules: &[HostRule]) -> Result<Url, Cause> {
    let refused = |host: &str, reason| Cause::DocumentAddress { host: host.to_owned(), reason };
    let url = Url::parse(text).map_err(|_| refused("?", "it is not a URL"))?;
    let host = url.host_str().unwrap_or("?");
    if !matches!(url.scheme(), "https" | "http") {
        return Err(refused(host, "it is neither https nor http"));
    }
    let written = format!("{}://{host}", url.scheme());
    let rest = text.get(..written.len()).filter(|start| start.eq_ignore_ascii_case(&written));
    let rest = rest.and_then(|_| text.get(written.len()..));
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?', '#'])) {
        return Err(refused(host, "its host is not plainly written"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(host, "it names a user"));
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(refused(host, "it is not encrypted (http)"));
    }
    if rules.iter().any(|rule| rule.allows(&url)) {
        return Ok(url);
    }
    Err(refused(host, "its host or port is not among `document_hosts`"))
}

#[cfg(test)]
mod tests;
