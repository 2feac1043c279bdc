//! The program as a black box between the simulated Azure and a real Postfix with Dovecot.
//!
//! `scripts/test.sh` starts the servers and names them in `MAILSTACK_…` variables; without them every test says that
//! it was skipped.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod mailstack;
mod setup;

use std::collections::BTreeMap;
use std::path::Path;

use crate::mailstack::{ALICE, Mail, MailStack};
use crate::setup::{PASSWORD, RelayAs, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn submission_with_starttls_delivers_the_served_pdfs() {
    let Some(stack) = MailStack::from_env() else { return };
    let setup = Setup::new(2, &[ALICE]).await;
    let relay = stack.submission_as(PASSWORD);
    assert_delivers_everything(&stack, &setup, &relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_with_implicit_tls_delivers_the_served_pdfs() {
    let Some(stack) = MailStack::from_env() else { return };
    let setup = Setup::new(1, &[ALICE]).await;
    let relay = stack.smtps_as(PASSWORD);
    assert_delivers_everything(&stack, &setup, &relay).await;
}

async fn assert_delivers_everything(stack: &MailStack, setup: &Setup, relay: &RelayAs<'_>) {
    let invoices = setup.served.len();
    setup.configure(relay);

    let once = setup.run(&["once", "--json"]).await;

    assert_eq!(once.code, 0, "{once:?}");
    assert_eq!((&once.rows[0]["accepted"], &once.rows[0]["deferred"]), (&invoices.into(), &0.into()), "{once:?}");
    let mails = stack.mails_from(&setup.sender, invoices).await;
    assert_eq!(mails.len(), invoices);
    assert_eq!(hashes_by_invoice(&mails, setup), setup.served);
    for mail in &mails {
        assert_eq!(mail.to, [ALICE]);
        assert_eq!(mail.return_path, format!("<{}>", setup.sender));
        assert_eq!(mail.structure[..4], ["multipart/mixed", "multipart/alternative", "text/plain", "text/html"]);
        assert!(mail.structure[4..].iter().all(|part| part == "application/pdf"), "{:?}", mail.structure);
        assert!(
            mail.attachments.iter().all(|file| Path::new(&file.name).extension() == Some("pdf".as_ref())),
            "{:?}",
            mail.attachments
        );
        assert_eq!(mail.defects, [] as [&str; 0]);
    }
    let deliveries = setup.run(&["deliveries", "--json"]).await;
    let mut recorded: Vec<_> = deliveries.rows.iter().filter_map(|row| row["message_id"].as_str()).collect();
    let mut received: Vec<_> = mails.iter().map(|mail| mail.message_id.trim_matches(['<', '>'])).collect();
    recorded.sort_unstable();
    received.sort_unstable();
    assert_eq!(recorded, received);
}

/// The hashes of the PDFs that arrived, by the invoice that the subject names.
fn hashes_by_invoice(mails: &[Mail], setup: &Setup) -> BTreeMap<String, Vec<String>> {
    let named = |mail: &Mail| {
        let name = setup.served.keys().find(|name| mail.subject.contains(*name));
        name.cloned().unwrap_or_else(|| panic!("the subject names no invoice: {}", mail.subject))
    };
    let sorted = |mail: &Mail| {
        let mut hashes: Vec<_> = mail.attachments.iter().map(|file| file.sha256.clone()).collect();
        hashes.sort();
        hashes
    };
    mails.iter().map(|mail| (named(mail), sorted(mail))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_and_a_deferred_recipient_do_not_keep_the_third_from_its_one_mail() {
    let Some(stack) = MailStack::from_env() else { return };
    let (unknown, tempfail) = ("nobody@customer.test", "tempfail@customer.test");
    let setup = Setup::new(1, &[unknown, tempfail, ALICE]).await;
    setup.configure(&stack.submission_as(PASSWORD));

    let first = setup.run(&["once", "--json"]).await;
    let second = setup.run(&["once", "--json"]).await;

    assert_eq!((first.code, second.code), (75, 75), "{first:?} {second:?}");
    let counts = |key: &str| (first.rows[0][key].as_u64(), second.rows[0][key].as_u64());
    assert_eq!(counts("accepted"), (Some(1), Some(0)), "{first:?} {second:?}");
    assert_eq!(counts("refused"), (Some(1), Some(0)), "{first:?} {second:?}");
    assert_eq!(counts("invoices_new"), (Some(1), Some(0)), "{first:?} {second:?}");
    assert_eq!(first.rows[0]["deferred"], 1, "{first:?}");
    let states = setup.states().await;
    assert_eq!(states, [(ALICE, "accepted"), (unknown, "refused"), (tempfail, "pending")].map(owned).into());
    let mails = stack.mails_from(&setup.sender, 1).await;
    assert_eq!(mails.len(), 1);
    assert_eq!(hashes_by_invoice(&mails, &setup), setup.served);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_mails_nothing_and_loses_nothing() {
    let Some(stack) = MailStack::from_env() else { return };
    let setup = Setup::new(1, &[ALICE]).await;
    assert_everything_waits(&stack, &setup, &stack.submission_as("wr0ng-s3cret")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_fails_closed_with_starttls() {
    let Some(stack) = MailStack::from_env() else { return };
    let setup = Setup::new(1, &[ALICE]).await;
    let relay = RelayAs { ca: &stack.stranger_ca, ..stack.submission_as(PASSWORD) };
    assert_everything_waits(&stack, &setup, &relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_fails_closed_with_implicit_tls() {
    let Some(stack) = MailStack::from_env() else { return };
    let setup = Setup::new(1, &[ALICE]).await;
    let relay = RelayAs { ca: &stack.stranger_ca, ..stack.smtps_as(PASSWORD) };
    assert_everything_waits(&stack, &setup, &relay).await;
}

/// The relay is in trouble: the program says so without the password, mails nothing and keeps the delivery.
async fn assert_everything_waits(stack: &MailStack, setup: &Setup, relay: &RelayAs<'_>) {
    setup.configure(relay);

    let once = setup.run(&["once", "--json"]).await;

    assert!([69, 75].contains(&once.code), "{once:?}");
    assert_eq!((&once.rows[0]["deliveries_created"], &once.rows[0]["accepted"]), (&1.into(), &0.into()), "{once:?}");
    assert_ne!(once.rows[0]["errors"], serde_json::json!([]), "{once:?}");
    let said = format!("{:?}\n{}", once.rows, once.logs);
    assert!(!said.contains(relay.password), "{said}");
    assert_eq!(setup.states().await, [(ALICE, "pending")].map(owned).into());
    assert_eq!(stack.mails_from(&setup.sender, 0).await.len(), 0);
}

fn owned((recipient, state): (&str, &str)) -> (String, String) {
    (recipient.to_owned(), state.to_owned())
}
