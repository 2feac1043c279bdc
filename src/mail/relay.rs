//! The relay: connecting, encrypting, signing in, pacing.

use std::fmt;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::{Auth, Smtp, Tls};
use crate::domain::attempt::{Outcome, Phase, Reply};
use crate::domain::label::Label;

use super::Error;
use super::dialogue::{Connection, verdict};
use super::wire::{Gate, Transport, Wire};

/// How long each phase may take (RFC 5321 4.5.3.2).
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Name resolution and TCP.
    pub connect: Duration,
    /// The greeting.
    pub greeting: Duration,
    /// Any command up to RCPT, and each handshake.
    pub command: Duration,
    /// The answer to DATA.
    pub data: Duration,
    /// Each 64 KiB of the body.
    pub block: Duration,
    /// The answer to the final dot.
    pub final_dot: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_mins(1),
            greeting: Duration::from_mins(5),
            command: Duration::from_mins(5),
            data: Duration::from_mins(2),
            block: Duration::from_mins(3),
            final_dot: Duration::from_mins(10),
        }
    }
}

/// The longest greeting or reply read on an unencrypted connection before STARTTLS, in bytes.
const MAX_CLEAR_REPLY: u64 = 16 * 1024;

/// The configured relay. Connections are opened by [`Relay::connect`] and kept by whoever sends.
pub struct Relay {
    settings: Smtp,
    tls: Option<TlsConnector>,
    hello: ClientId,
    deadlines: Deadlines,
    pace: DefaultDirectRateLimiter,
}

impl Relay {
    /// Prepares TLS and pacing; opens nothing.
    ///
    /// # Errors
    /// If the certificate authorities cannot be read.
    pub fn new(settings: &Smtp, deadlines: Deadlines) -> Result<Self, Error> {
        let tls = match settings.tls {
            Tls::None => None,
            Tls::Implicit | Tls::Starttls => Some(TlsConnector::from(Arc::new(tls_config(settings)?))),
        };
        // Evenly spaced: a burst first would exceed the limit within the first minute.
        let space = Duration::from_mins(1) / settings.per_minute.max(1);
        let quota = Quota::with_period(space).unwrap_or(Quota::per_minute(NonZeroU32::MIN));
        Ok(Self {
            settings: settings.clone(),
            tls,
            hello: ClientId::default(),
            deadlines,
            pace: RateLimiter::direct(quota),
        })
    }

    /// The relay's settings.
    #[must_use]
    pub fn settings(&self) -> &Smtp {
        &self.settings
    }

    /// Waits until the pace allows another mail.
    pub async fn pace(&self) {
        self.pace.until_ready().await;
    }

    /// Opens a connection ready for MAIL: greeted, encrypted as configured, signed in.
    ///
    /// # Errors
    /// The outcome that every delivery would have now: trouble with the relay.
    pub async fn connect(&self) -> Result<Connection, Outcome> {
        let tcp = self.dial().await?;
        let gate = Gate::default();
        let wire = match (self.settings.tls, &self.tls) {
            (Tls::Implicit, Some(tls)) => {
                let transport = self.handshake(tls, tcp).await?;
                Wire::new(transport, Vec::new(), gate.clone())
            }
            (Tls::Starttls, Some(tls)) => {
                let (tcp, greeting) = self.starttls(tcp).await?;
                let transport = self.handshake(tls, tcp).await?;
                Wire::new(transport, greeting, gate.clone())
            }
            _ => Wire::new(Transport::Plain(tcp), Vec::new(), gate.clone()),
        };
        let hello = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &self.hello);
        let mut smtp = timeout(self.deadlines.greeting, hello)
            .await
            .map_err(|_| self.late(Phase::Greeting, self.deadlines.greeting))?
            .map_err(|error| self.named(verdict(Phase::Greeting, &error)))?;
        self.sign_in(&mut smtp).await?;
        Ok(Connection::new(smtp, gate, self.deadlines))
    }

    async fn dial(&self) -> Result<TcpStream, Outcome> {
        let dial = TcpStream::connect((self.settings.host.as_str(), self.settings.port));
        let tcp = timeout(self.deadlines.connect, dial)
            .await
            .map_err(|_| self.late(Phase::Connect, self.deadlines.connect))?
            .map_err(|error| {
                let reason = format!("{error}; is the relay up, and are smtp.host and smtp.port right?");
                self.broken(Phase::Connect, &reason)
            })?;
        // Small commands wait for nothing.
        tcp.set_nodelay(true).map_err(|error| self.broken(Phase::Connect, &error.to_string()))?;
        Ok(tcp)
    }

    async fn handshake(&self, tls: &TlsConnector, tcp: TcpStream) -> Result<Transport, Outcome> {
        let host = ServerName::try_from(self.settings.host.clone())
            .map_err(|error| self.broken(Phase::Tls, &format!("smtp.host is not a name for TLS: {error}")))?;
        let stream = timeout(self.deadlines.command, tls.connect(host, tcp))
            .await
            .map_err(|_| self.late(Phase::Tls, self.deadlines.command))?
            .map_err(|error| self.broken(Phase::Tls, &format!("the handshake failed: {error}{}", tls_hint(&error))))?;
        Ok(Transport::Tls(Box::new(stream)))
    }

    /// Greeting, EHLO and STARTTLS on the bare socket, so that nothing that came in clear is ever read inside TLS
    /// (the class of CVE-2011-0411). Gives back the greeting, which the client waits for.
    async fn starttls(&self, tcp: TcpStream) -> Result<(TcpStream, Vec<u8>), Outcome> {
        let mut clear = BufReader::new(tcp);
        let greeting = self.clear_reply(&mut clear, Phase::Greeting, 220).await?;
        self.clear_command(&mut clear, Phase::Greeting, &format!("EHLO {}\r\n", self.hello)).await?;
        let offers = self.clear_reply(&mut clear, Phase::Greeting, 250).await?;
        let offered = String::from_utf8_lossy(&offers).to_ascii_uppercase();
        if !offered.lines().skip(1).any(|line| line.get(4..).is_some_and(|keyword| keyword.trim() == "STARTTLS")) {
            let reason = "the relay does not offer STARTTLS, which is required; nothing was sent in clear";
            return Err(self.broken(Phase::Tls, reason));
        }
        self.clear_command(&mut clear, Phase::Tls, "STARTTLS\r\n").await?;
        self.clear_reply(&mut clear, Phase::Tls, 220).await?;
        if !clear.buffer().is_empty() {
            let reason =
                "bytes came in clear after the answer to STARTTLS: somebody may be tampering with the connection";
            return Err(self.broken(Phase::Tls, reason));
        }
        Ok((clear.into_inner(), greeting))
    }

    async fn clear_command(
        &self,
        clear: &mut BufReader<TcpStream>,
        phase: Phase,
        command: &str,
    ) -> Result<(), Outcome> {
        timeout(self.deadlines.command, clear.get_mut().write_all(command.as_bytes()))
            .await
            .map_err(|_| self.late(phase, self.deadlines.command))?
            .map_err(|error| self.broken(phase, &error.to_string()))
    }

    /// Reads one reply, all its lines, and wants it to have this code.
    async fn clear_reply(
        &self,
        clear: &mut BufReader<TcpStream>,
        phase: Phase,
        wanted: u16,
    ) -> Result<Vec<u8>, Outcome> {
        let read = async {
            let mut reply = Vec::new();
            loop {
                let line_start = reply.len();
                let room = MAX_CLEAR_REPLY.saturating_sub(line_start as u64);
                (&mut *clear).take(room).read_until(b'\n', &mut reply).await?;
                let line = &reply[line_start..];
                if !line.ends_with(b"\n") {
                    return Err(std::io::Error::other("the server closed the connection or sent an endless line"));
                }
                if line.get(3) != Some(&b'-') {
                    return Ok(reply);
                }
            }
        };
        let reply = timeout(self.deadlines.greeting, read)
            .await
            .map_err(|_| self.late(phase, self.deadlines.greeting))?
            .map_err(|error| self.broken(phase, &error.to_string()))?;
        let text = String::from_utf8_lossy(&reply);
        match text.get(..3).and_then(|digits| digits.parse::<u16>().ok()) {
            Some(code) if code == wanted => Ok(reply),
            Some(code) => {
                let text = Label::new(text.get(4..).unwrap_or_default());
                Err(self.named(Outcome::of_reply(phase, Reply { code, text })))
            }
            None => Err(self.broken(phase, "the server does not speak SMTP")),
        }
    }

    async fn sign_in(&self, smtp: &mut AsyncSmtpConnection) -> Result<(), Outcome> {
        let Auth::Password { username, password } = &self.settings.auth else { return Ok(()) };
        let password = password.read().map_err(|error| self.broken(Phase::Auth, &error.to_string()))?;
        let credentials = Credentials::new(username.clone(), password.expose_secret().to_owned());
        if smtp.server_info().get_auth_mechanism(&[Mechanism::Plain, Mechanism::Login]).is_none() {
            return Err(self.broken(Phase::Auth, "the relay offers neither AUTH PLAIN nor AUTH LOGIN"));
        }
        let auth = smtp.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
        timeout(self.deadlines.command, auth)
            .await
            .map_err(|_| self.late(Phase::Auth, self.deadlines.command))?
            .map_err(|error| self.refused_sign_in(&verdict(Phase::Auth, &error), username, password.expose_secret()))?;
        Ok(())
    }

    /// Some servers repeat what the client said: that must not reach log and ledger.
    fn refused_sign_in(&self, outcome: &Outcome, username: &str, password: &str) -> Outcome {
        let said = [format!("\0{username}\0{password}"), password.to_owned()];
        let said: Vec<String> = said.iter().map(|text| STANDARD.encode(text)).chain([password.to_owned()]).collect();
        let mut outcome = self.named(match outcome.reply() {
            Some(reply) => {
                let text = without(reply.text.as_str(), &said);
                Outcome::of_reply(Phase::Auth, Reply { code: reply.code, text: Label::new(&text) })
            }
            None => outcome.clone(),
        });
        if let Outcome::TransientFailure(failure) | Outcome::PermanentFailure(failure) = &mut outcome {
            failure.reason += "; check smtp.auth";
        }
        outcome
    }

    fn late(&self, phase: Phase, limit: Duration) -> Outcome {
        let silent = phase == Phase::Greeting && self.settings.tls != Tls::Implicit;
        let hint = if silent { "; does this port want smtp.tls = \"implicit\"?" } else { "" };
        self.broken(phase, &format!("no answer within {} s{hint}", limit.as_secs_f64()))
    }

    fn broken(&self, phase: Phase, reason: &str) -> Outcome {
        self.named(Outcome::of_break(phase, reason.to_owned()))
    }

    /// Names the relay in the reason.
    fn named(&self, mut outcome: Outcome) -> Outcome {
        if let Outcome::TransientFailure(failure) | Outcome::PermanentFailure(failure) = &mut outcome {
            let Smtp { host, port, .. } = &self.settings;
            failure.reason = format!("{} at the relay {host}:{port}: {}", failure.phase.command(), failure.reason);
        }
        outcome
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({}:{})", self.settings.host, self.settings.port)
    }
}

/// `text` without the words that are, hold or are a part of one of the `secrets`.
fn without(text: &str, secrets: &[String]) -> String {
    let is_secret = |word: &str| {
        let word = word.trim_matches(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
        secrets.iter().any(|secret| word.contains(secret.as_str()) || (word.len() >= 4 && secret.contains(word)))
    };
    text.split(' ').map(|word| if is_secret(word) { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

fn tls_config(settings: &Smtp) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &settings.ca_file {
        add_authorities(&mut roots, path)?;
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(Error::NoAuthorities);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::Tls { host: settings.host.clone(), source: source.into() })?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What to do about a handshake that failed.
fn tls_hint(error: &std::io::Error) -> &'static str {
    use rustls::{CertificateError, Error as TlsError, InvalidMessage};
    match error.get_ref().and_then(|error| error.downcast_ref::<TlsError>()) {
        Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "; the port does not begin with TLS: should smtp.tls be \"starttls\"?"
        }
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; if the relay's authority is private, name it in smtp.ca_file"
        }
        Some(TlsError::InvalidCertificate(CertificateError::Other(other)))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            "; an authority's own certificate cannot be the relay's: give it one that the authority signed"
        }
        _ => "",
    }
}

fn add_authorities(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::CaFile { path: path.to_owned(), source };
    let pem = fs::read(path).map_err(|e| failed(e.into()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    for certificate in certificates.map_err(|e| failed(e.to_string().into()))? {
        roots.add(certificate).map_err(|e| failed(e.into()))?;
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate".into()));
    }
    Ok(())
}
