//! The mail servers that `scripts/mailstack.sh` started, and what arrived there.

use std::env;
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::setup::RelayAs;

/// The mailbox that is read back; its password is `alice`.
pub(crate) const ALICE: &str = "alice@customer.test";

const SETTLES_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct MailStack {
    postfix: PathBuf,
    imaps: String,
    /// The authority of the servers' certificate.
    pub(crate) ca: PathBuf,
    /// An authority that signed nothing.
    pub(crate) stranger_ca: PathBuf,
    submission: u16,
    smtps: u16,
}

/// A mail as Python's parser sees it (`fetch_imap.py`).
#[derive(Debug, Deserialize)]
pub(crate) struct Mail {
    pub(crate) message_id: String,
    pub(crate) return_path: String,
    pub(crate) to: Vec<String>,
    pub(crate) subject: String,
    /// The content types, depth first.
    pub(crate) structure: Vec<String>,
    pub(crate) defects: Vec<String>,
    pub(crate) attachments: Vec<Attachment>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) sha256: String,
}

impl MailStack {
    /// The servers named by the environment; without any, says that the test is skipped.
    pub(crate) fn from_env() -> Option<Self> {
        let Some(dir) = env::var_os("MAILSTACK_DIR").map(PathBuf::from) else {
            // Not `eprintln!`, which is swallowed when a test passes.
            stderr().write_all(b"skipped: Postfix/Dovecot (MAILSTACK_DIR is not set)\n").unwrap();
            return None;
        };
        let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set, MAILSTACK_DIR is"));
        Some(Self {
            postfix: dir.join("postfix"),
            imaps: variable("MAILSTACK_IMAPS_PORT"),
            ca: variable("MAILSTACK_CA").into(),
            stranger_ca: variable("MAILSTACK_STRANGER_CA").into(),
            submission: variable("MAILSTACK_SUBMISSION_PORT").parse().unwrap(),
            smtps: variable("MAILSTACK_SMTPS_PORT").parse().unwrap(),
        })
    }

    /// The submission port with STARTTLS and the right authority.
    pub(crate) fn submission_as<'a>(&'a self, password: &'a str) -> RelayAs<'a> {
        RelayAs { host: "localhost", port: self.submission, tls: "starttls", ca: &self.ca, password }
    }

    /// The port with implicit TLS by its address, which the certificate names too, and the right authority.
    pub(crate) fn smtps_as<'a>(&'a self, password: &'a str) -> RelayAs<'a> {
        RelayAs { host: "127.0.0.1", port: self.smtps, tls: "implicit", ca: &self.ca, password }
    }

    /// Alice's mails from `sender`, once Postfix holds none of them any more and at least `expected` have arrived,
    /// or when that takes too long.
    pub(crate) async fn mails_from(&self, sender: &str, expected: usize) -> Vec<Mail> {
        let deadline = Instant::now() + SETTLES_WITHIN;
        loop {
            let queue = self.queue().await;
            if !queue.contains(sender) {
                let mails = self.fetch(sender).await;
                if mails.len() >= expected || Instant::now() > deadline {
                    return mails;
                }
            }
            assert!(Instant::now() < deadline, "Postfix does not get rid of its mails: {queue}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn queue(&self) -> String {
        output(Command::new("postqueue").arg("-c").arg(&self.postfix).arg("-j")).await
    }

    async fn fetch(&self, sender: &str) -> Vec<Mail> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/fetch_imap.py");
        let mut python = Command::new("python3");
        python.arg(script).arg(&self.imaps).arg(&self.ca).args([ALICE, "alice", sender]);
        serde_json::from_str(&output(&mut python).await).unwrap()
    }
}

async fn output(command: &mut Command) -> String {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
