//! `[smtp]` and `[delivery]`: the relay, and when to try again.

use std::time::Duration;

use super::parse;
use super::problems::{KeyPath, Report};
use super::raw::{self, AuthKind};
use super::{Auth, Smtp, Tls};
use crate::domain::recipients::Address;
use crate::domain::retry::{OnInDoubt, RetryPolicy};

/// How long a relay may still take over a mail whose answer was lost (RFC 5321 4.5.3.2.6 grants 10 minutes).
const DOT_GUARD: Duration = Duration::from_mins(11);

pub(super) fn smtp(report: &mut Report<'_>, raw: raw::Smtp) -> Option<Smtp> {
    let at = KeyPath::of("smtp");
    let host = report.required(raw.host, &at.key("host"), "the relay's host name");
    let host = host.and_then(|text| report.note(&at.key("host"), parse::host(&text)));
    let loopback = host.as_deref().map(parse::is_loopback);
    let tls = match report.required(raw.tls, &at.key("tls"), "`starttls` or `implicit`") {
        Some(raw::Tls::Implicit) => Some(Tls::Implicit),
        Some(raw::Tls::Starttls) => Some(Tls::Starttls),
        Some(raw::Tls::None) => Some(Tls::None),
        None => None,
    };
    if tls == Some(Tls::None) && loopback == Some(false) {
        report.push(&at.key("tls"), "mail goes in plain text on loopback only: use `starttls` or `implicit`");
    }
    let ca_file = raw.ca_file.map(|file| report.note(&at.key("ca_file"), parse::certificates(&file)));
    let from = report.required(raw.from, &at.key("from"), "the sender, such as `Invoices <invoices@contoso.example>`");
    let from = from.and_then(|text| report.note(&at.key("from"), parse::mailbox(&text)));
    let mut address = |key: &str, text: Option<String>| -> Option<Option<Address>> {
        text.map(|text| report.note(&at.key(key), parse::address(&text)))
    };
    let (reply_to, return_path) = (address("reply_to", raw.reply_to), address("return_path", raw.return_path));
    let auth = auth(report, raw.auth, loopback.unwrap_or(true), &at.key("auth"));
    let max_connections = report.required(raw.max_connections, &at.key("max_connections"), "a number");
    let per_minute = report.required(raw.per_minute, &at.key("per_minute"), "a number");
    let (tls, (from_name, from)) = (tls?, from?);
    Some(Smtp {
        host: host?,
        port: raw.port.unwrap_or(if tls == Tls::Implicit { 465 } else { 587 }),
        tls,
        ca_file: ca_file.flatten(),
        from_name,
        reply_to: reply_to.flatten(),
        return_path: return_path.flatten().unwrap_or_else(|| from.clone()),
        from,
        auth: auth?,
        max_connections: max_connections?,
        per_minute: per_minute?,
    })
}

fn auth(report: &mut Report<'_>, raw: raw::Auth, loopback: bool, at: &KeyPath) -> Option<Auth> {
    let Some(kind) = report.required(raw.kind, &at.key("kind"), "`none` or `password`") else {
        raw.password.and_then(|place| parse::secret(report, &place, loopback, &at.key("password")));
        return None;
    };
    match kind {
        AuthKind::None => {
            for (key, given) in [("username", raw.username.is_some()), ("password", raw.password.is_some())] {
                if given {
                    report.push(&at.key(key), "needs `kind = \"password\"`");
                }
            }
            Some(Auth::None)
        }
        AuthKind::Password => {
            let username = report.required(raw.username, &at.key("username"), "the account at the relay");
            if username.as_deref().is_some_and(|name| name.is_empty() || name.contains(char::is_control)) {
                report.push(&at.key("username"), "is empty or has control characters");
            }
            let remedy = "where the password is: `{ file = \"…\" }` or `{ env = \"…\" }`";
            let place = report.required(raw.password, &at.key("password"), remedy);
            let password = place.and_then(|place| parse::secret(report, &place, loopback, &at.key("password")));
            Some(Auth::Password { username: username?, password: password? })
        }
    }
}

/// The retry policy and `max_backfill`; `relay`: the configured relay's host.
pub(super) fn delivery(
    report: &mut Report<'_>,
    raw: raw::Delivery,
    relay: Option<&str>,
) -> Option<(RetryPolicy, Duration)> {
    let at = KeyPath::of("delivery");
    let retry_at = at.key("retry");
    let retry = raw.retry.unwrap_or_default();
    if retry.is_empty() {
        report.missing(&retry_at, "at least one wait, such as `[\"5m\"]`");
    }
    let retry = report.each(&retry, &retry_at, parse::duration);
    let mut duration = |key: &str, text: Option<String>| {
        let text = report.required(text, &at.key(key), "a duration such as `5d`")?;
        report.note(&at.key(key), parse::duration(&text))
    };
    let give_up_after = duration("give_up_after", raw.give_up_after);
    let in_doubt_wait = duration("in_doubt_wait", raw.in_doubt_wait);
    let max_backfill = duration("max_backfill", raw.max_backfill);
    let remote = relay.is_some_and(|host| !parse::is_loopback(host));
    if remote && in_doubt_wait.is_some_and(|wait| wait < DOT_GUARD) {
        let remedy = "a relay may take 10 minutes over a mail, and a re-send before that makes a second copy";
        report.push(&at.key("in_doubt_wait"), format!("must be at least 660s: {remedy}"));
    }
    let on_in_doubt = match report.required(raw.on_in_doubt, &at.key("on_in_doubt"), "`resend` or `hold`")? {
        raw::OnInDoubt::Resend => OnInDoubt::Resend,
        raw::OnInDoubt::Hold => OnInDoubt::Hold,
    };
    let (give_up_after, in_doubt_wait) = (give_up_after?, in_doubt_wait?);
    Some((RetryPolicy { retry: retry?, give_up_after, on_in_doubt, in_doubt_wait }, max_backfill?))
}
