//! The ledger's protocol: claims, fences, dot commits, recovery, and the invariants that the tables themselves keep.

use std::path::PathBuf;

use invoice_mailer::app;
use invoice_mailer::domain::attempt::{Outcome, Phase, Reply};
use invoice_mailer::domain::delivery::State;
use invoice_mailer::domain::document::Sha256Hash;
use invoice_mailer::domain::label::Label;
use invoice_mailer::domain::mail::Frozen;
use invoice_mailer::domain::retry::{OnInDoubt, RetryPolicy};
use invoice_mailer::ledger::{Claim, DeliveryFilter, Error, Ledger};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

use crate::world::{World, now};

/// A world whose only mail waits, and the path of its ledger.
async fn waiting() -> (World, PathBuf) {
    let mut world = World::new(1).await;
    world.to(&["tempfail@contoso.example"]);
    world.delivery = "retry = [\"1m\"]".into();
    world.once().await;
    let path = world.dir.path().join("ledger.db");
    (world, path)
}

fn policy() -> RetryPolicy {
    RetryPolicy {
        retry: vec![Duration::from_mins(1)],
        give_up_after: Duration::from_hours(120),
        on_in_doubt: OnInDoubt::Resend,
        in_doubt_wait: Duration::from_mins(15),
    }
}

fn later() -> Timestamp {
    now() + SignedDuration::from_hours(1)
}

async fn claim(ledger: &Ledger) -> Claim {
    ledger.claim(later(), &policy()).await.unwrap().expect("nothing was due")
}

fn frozen(text: &str) -> Frozen {
    Frozen { frozen_at: now(), sha256: Sha256Hash::of(text.as_bytes()), segments: vec![text.as_bytes().to_vec()] }
}

async fn state(ledger: &Ledger) -> String {
    ledger.deliveries(&DeliveryFilter::default()).await.unwrap()[0].state.clone()
}

#[tokio::test]
async fn a_claimed_delivery_is_nobody_elses_until_it_is_finished() {
    let (_world, path) = waiting().await;
    let ledger = Ledger::open(&path, "test").await.unwrap();
    let claimed = claim(&ledger).await;
    assert!(ledger.claim(later(), &policy()).await.unwrap().is_none());
    assert_eq!(state(&ledger).await, "sending");
    let after = claimed.delivery.clone().interrupted();
    ledger.finish(claimed.lease, &after, None, now()).await.unwrap();
    assert_eq!(state(&ledger).await, "pending");
    assert_eq!(claim(&ledger).await.delivery.charged, 1, "an interrupted attempt is not charged");
}

#[tokio::test]
async fn what_a_dead_daemon_left_is_due_again_or_in_doubt() {
    for (dotted, expected) in [(false, "pending"), (true, "in_doubt")] {
        let (_world, path) = waiting().await;
        let dead = Ledger::open(&path, "test").await.unwrap();
        let claimed = claim(&dead).await;
        dead.begin_attempt(&claimed.lease, &frozen("bytes"), now()).await.unwrap();
        if dotted {
            dead.commit_dot(&claimed.lease, now()).await.unwrap();
        }
        dead.close().await;
        let ledger = Ledger::open(&path, "test").await.unwrap();
        assert_eq!(ledger.recover(&policy(), later()).await.unwrap(), 1);
        assert_eq!(state(&ledger).await, expected);
        let due = ledger.claim(later(), &policy()).await.unwrap().unwrap();
        assert_eq!(due.frozen.is_some(), dotted, "the bytes bind only if they may have been accepted");
        if dotted {
            let again = ledger.begin_attempt(&due.lease, &frozen("other bytes"), now()).await;
            assert!(again.is_err(), "bytes in doubt never change");
            ledger.begin_attempt(&due.lease, &frozen("bytes"), now()).await.unwrap();
        } else {
            ledger.begin_attempt(&due.lease, &frozen("other bytes"), now()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_lost_lease_stops_every_write() {
    let (_world, path) = waiting().await;
    let paused = Ledger::open(&path, "test").await.unwrap();
    let stale = claim(&paused).await;
    paused.begin_attempt(&stale.lease, &frozen("bytes"), now()).await.unwrap();
    // As if another daemon had found this one dead and taken the delivery over.
    let other = Ledger::join(&path, "test").await.unwrap();
    assert_eq!(other.recover(&policy(), later()).await.unwrap(), 1);
    let taken = claim(&other).await;
    let lost = |result: Result<(), Error>| matches!(result, Err(Error::LeaseLost(_)));
    assert!(lost(paused.commit_dot(&stale.lease, now()).await), "no dot without the lease");
    assert!(lost(paused.begin_attempt(&stale.lease, &frozen("bytes"), now()).await));
    let accepted = Outcome::Accepted(Reply { code: 250, text: Label::new("ok") });
    let after = stale.delivery.after(&accepted, &policy(), now());
    assert!(lost(paused.finish(stale.lease, &after, Some(&accepted), now()).await));
    assert_eq!(state(&other).await, "sending");
    other.finish(taken.lease, &taken.delivery.interrupted(), None, now()).await.unwrap();
}

#[tokio::test]
async fn a_dot_needs_an_attempt_and_comes_once() {
    let (_world, path) = waiting().await;
    let ledger = Ledger::open(&path, "test").await.unwrap();
    let claimed = claim(&ledger).await;
    assert!(ledger.commit_dot(&claimed.lease, now()).await.is_err(), "no attempt was begun");
    ledger.begin_attempt(&claimed.lease, &frozen("bytes"), now()).await.unwrap();
    assert!(ledger.begin_attempt(&claimed.lease, &frozen("bytes"), now()).await.is_err(), "one attempt at a time");
    ledger.commit_dot(&claimed.lease, now()).await.unwrap();
    assert!(ledger.commit_dot(&claimed.lease, now()).await.is_err(), "one dot an attempt");
    let outcome = Outcome::of_break(Phase::FinalDot, "no answer".into());
    let after = claimed.delivery.after(&outcome, &policy(), now());
    assert_eq!(after.state, State::InDoubt);
    ledger.finish(claimed.lease, &after, Some(&outcome), now()).await.unwrap();
    assert_eq!(state(&ledger).await, "in_doubt");
}

/// What somebody with a database shell could try, and what the tables say to it.
#[tokio::test]
async fn the_tables_keep_their_invariants() {
    let (_world, path) = waiting().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).foreign_keys(true);
    let shell = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let copy = |id: &str| {
        format!(
            "INSERT INTO delivery_documents SELECT {id}, 9, billing_account, invoice, document, recipient, generation
             FROM delivery_documents"
        )
    };
    let (elsewhere, twice) = (copy("'x'"), copy("delivery_id"));
    for (statement, refusal) in [
        ("UPDATE deliveries SET state = 'sending'", "CHECK"),
        ("UPDATE deliveries SET state = 'accepted'", "CHECK"),
        ("UPDATE deliveries SET state = 'delivered'", "CHECK"),
        ("UPDATE deliveries SET owner = 'me'", "CHECK"),
        ("UPDATE deliveries SET state = 'held', reason = NULL", "CHECK"),
        ("UPDATE deliveries SET message_id = 'another@contoso.example'", "keeps its Message-ID"),
        ("UPDATE deliveries SET generation = 0", "CHECK"),
        ("UPDATE deliveries SET fence = 'text'", "cannot store TEXT"),
        ("UPDATE attempts SET outcome = 'accepted', dot_at = NULL", "CHECK"),
        ("UPDATE attempts SET finished_at = NULL", "CHECK"),
        ("UPDATE attempts SET dot_at = 1", "open attempt"),
        ("UPDATE documents SET sha256 = NULL", "CHECK"),
        (&elsewhere, "UNIQUE"),
        (&twice, "UNIQUE"),
        ("DELETE FROM invoices", "FOREIGN KEY"),
    ] {
        let error = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&shell).await.unwrap_err().to_string();
        assert!(error.contains(refusal), "{statement}: {error}");
    }
    sqlx::query("UPDATE deliveries SET state = 'held', reason = 'by hand'").execute(&shell).await.unwrap();
    shell.close().await;
}

#[tokio::test]
async fn the_ledger_says_what_is_wrong_with_it() {
    let (world, path) = waiting().await;
    let daemon = Ledger::open(&path, "test").await.unwrap();
    assert!(matches!(Ledger::open(&path, "test").await, Err(Error::InUse(_))));
    let beside = Ledger::join(&path, "test").await.unwrap();
    assert!(daemon.is_daemon() && !beside.is_daemon());
    beside.close().await;
    daemon.close().await;
    assert!(matches!(Ledger::open(&path, "staging").await, Err(Error::OtherInstance { .. })));
    let nowhere = world.dir.path().join("nowhere.db");
    assert!(matches!(Ledger::join(&nowhere, "test").await, Err(Error::Missing(_))));
    assert!(!nowhere.exists(), "joining makes no ledger");
    let rubbish = world.dir.path().join("rubbish.db");
    std::fs::write(&rubbish, [7; 8192]).unwrap();
    let error = Ledger::open(&rubbish, "test").await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(&rubbish).unwrap(), [7; 8192], "a damaged ledger is left as it is");
}

#[tokio::test]
async fn a_lost_ledger_is_not_made_anew_and_a_foreign_one_is_left_alone() {
    let world = World::new(2).await;
    let path = world.dir.path().join("ledger.db");
    world.once().await;
    let kept = std::fs::read(&path).unwrap();
    for loss in ["removed", "emptied"] {
        if loss == "removed" {
            std::fs::remove_file(&path).unwrap();
        } else {
            std::fs::write(&path, []).unwrap();
        }
        let error = app::open(world.config(), world.clock.clone(), world.tuning.clone()).await.unwrap_err();
        assert!(error.to_string().contains("put the ledger back"), "{loss}: {error}");
        assert!(matches!(Ledger::join(&path, "test").await, Err(Error::Missing(_))), "{loss}");
    }
    std::fs::write(&path, kept).unwrap();
    assert_eq!(world.once().await.accepted, 0);

    let foreign = world.dir.path().join("foreign.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&foreign).create_if_missing(true);
    let other = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE theirs (x)").execute(&other).await.unwrap();
    other.close().await;
    assert!(matches!(Ledger::open(&foreign, "test").await, Err(Error::Foreign(_))));
    assert!(matches!(Ledger::join(&foreign, "test").await, Err(Error::Foreign(_))));

    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let newer = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let migrated = "INSERT INTO _sqlx_migrations SELECT 9999, 'newer', installed_on, success, checksum, execution_time
                    FROM _sqlx_migrations LIMIT 1";
    sqlx::query(migrated).execute(&newer).await.unwrap();
    assert!(matches!(Ledger::open(&path, "test").await, Err(Error::OtherSchema)));
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 9999").execute(&newer).await.unwrap();
    newer.close().await;
    world.finish().await;
}
