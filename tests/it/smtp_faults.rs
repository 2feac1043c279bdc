//! What the relay may do at each phase, and where the delivery then stands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use invoice_mailer::clock::Clock;
use invoice_mailer::config::Auth;
use invoice_mailer::simulator::Inbox;
use invoice_mailer::simulator::inbox::{self, Credentials, Trouble};
use jiff::SignedDuration;

use crate::world::{World, header};

/// `(recipient, state after one pass, mails in the inbox, attempts, words of the reason)`
const TABLE: &[(&str, &str, usize, i64, &str)] = &[
    ("ap@contoso.example", "accepted", 1, 1, ""),
    ("slow@contoso.example", "accepted", 1, 1, ""),
    ("reject@contoso.example", "refused", 0, 1, "550"),
    ("tempfail@contoso.example", "pending", 0, 1, "451"),
    ("greylist@contoso.example", "pending", 0, 1, "451"),
    ("full@contoso.example", "pending", 0, 1, "452"),
    ("data-reject@contoso.example", "refused", 0, 1, "554"),
    ("dot-reject@contoso.example", "refused", 0, 1, "554"),
    ("dot-tempfail@contoso.example", "pending", 0, 1, "451"),
    ("drop-rcpt@contoso.example", "pending", 0, 1, "RCPT"),
    ("drop-data@contoso.example", "pending", 0, 1, "DATA"),
    ("hang-rcpt@contoso.example", "pending", 0, 1, "no answer"),
    ("close-421@contoso.example", "pending", 0, 1, "421"),
    ("dot-354@contoso.example", "in_doubt", 0, 1, "354"),
    ("drop-dot@contoso.example", "in_doubt", 1, 1, "final dot"),
    ("cut-dot@contoso.example", "in_doubt", 1, 1, "final dot"),
    ("hang-dot@contoso.example", "in_doubt", 0, 1, "no answer"),
];

#[tokio::test]
async fn each_way_a_relay_misbehaves_leads_to_one_state() {
    for &(recipient, state, mails, attempts, reason) in TABLE {
        let mut world = World::new(1).await;
        world.to(&[recipient]);
        world.once().await;
        let rows = world.deliveries().await;
        let [row] = rows.as_slice() else { panic!("{recipient}: {} deliveries", rows.len()) };
        assert_eq!((row.state.as_str(), row.attempts), (state, attempts), "{recipient}: {:?}", row.reason);
        assert!(row.reason.as_deref().unwrap_or_default().contains(reason), "{recipient}: {:?}", row.reason);
        let kept = world.inbox.messages().len();
        assert_eq!(kept, mails, "{recipient}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_misbehaving_recipient_does_not_hinder_the_others() {
    let mut world = World::new(1).await;
    world.smtp = "max_connections = 1".into();
    let mut recipients: Vec<&str> = TABLE.iter().map(|row| row.0).collect();
    // What closes or stalls the connection comes first, the good ones last.
    recipients.reverse();
    world.to(&recipients);
    for _ in 0..3 {
        world.once().await;
    }
    let states = world.states().await;
    assert!(states.contains(&"ap@contoso.example accepted".to_owned()), "{states:?}");
    assert!(states.contains(&"slow@contoso.example accepted".to_owned()), "{states:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_mail_in_doubt_is_sent_once_more_with_the_very_same_bytes() {
    let mut world = World::new(1).await;
    world.to(&["drop-dot-once@contoso.example"]);
    assert_eq!(world.once().await.in_doubt, 1);
    world.step(SignedDuration::from_mins(14));
    assert_eq!(world.once().await.accepted, 0, "the wait is not over");
    world.step(SignedDuration::from_mins(2));
    assert_eq!(world.once().await.accepted, 1);
    let [first, second] = world.inbox.messages().try_into().unwrap();
    assert_eq!(first.data, second.data);
    assert!(!first.answered && second.answered);
    world.finish().await;
}

#[tokio::test]
async fn a_mail_twice_in_doubt_is_held_for_a_person() {
    let mut world = World::new(1).await;
    world.to(&["drop-dot@contoso.example"]);
    world.once().await;
    world.step(SignedDuration::from_mins(16));
    assert_eq!(world.once().await.held, 1);
    world.step(SignedDuration::from_hours(300));
    world.once().await;
    assert_eq!(world.states().await, ["drop-dot@contoso.example held"]);
    assert_eq!(world.inbox.messages().len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn doubt_is_held_at_once_where_the_operator_wants_it() {
    let mut world = World::new(1).await;
    world.delivery = "on_in_doubt = \"hold\"".into();
    world.to(&["drop-dot@contoso.example"]);
    assert_eq!(world.once().await.held, 1);
    world.finish().await;
}

#[tokio::test]
async fn a_refused_attempt_is_followed_by_a_fresh_date_under_the_same_message_id() {
    let mut world = World::new(1).await;
    world.to(&["greylist@contoso.example"]);
    world.once().await;
    let id = world.deliveries().await[0].message_id.clone();
    world.step(SignedDuration::from_mins(10));
    world.once().await;
    let mail = &world.inbox.messages()[0];
    assert_eq!(header(mail, "Message-ID").unwrap(), format!("<{id}>"));
    assert_eq!(header(mail, "Date").unwrap(), "Mon, 23 Nov 2026 12:10:00 +0000");
    world.finish().await;
}

#[tokio::test]
async fn age_ends_what_is_never_accepted() {
    let mut world = World::new(1).await;
    world.to(&["tempfail@contoso.example"]);
    world.once().await;
    world.step(SignedDuration::from_hours(121));
    world.once().await;
    assert_eq!(world.states().await, ["tempfail@contoso.example expired"]);
    world.finish().await;
}

#[tokio::test]
async fn trouble_with_the_relay_charges_nobody_and_says_what_to_do() {
    for (trouble, says) in [
        (Trouble::RefuseConnections, "554"),
        (Trouble::NoGreeting, "no answer"),
        (Trouble::NoEhlo, "502"),
        (Trouble::RefuseSender, "may this account send as"),
    ] {
        let mut world = World::new(2).await;
        world.to(&["a@contoso.example", "b@contoso.example"]);
        world.inbox.set_trouble(Some(trouble));
        let summary = world.once().await;
        assert_eq!(summary.accepted, 0);
        let told = summary.errors.join("\n");
        assert!(told.contains(says), "{trouble:?}: {told}");
        assert!(world.deliveries().await.iter().all(|row| row.state == "pending"), "{trouble:?}");
        world.inbox.set_trouble(None);
        assert_eq!(world.once().await.accepted, 4, "{trouble:?}: nothing was put off");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_relay_that_is_down_leaves_everything_pending() {
    let mut world = World::new(2).await;
    world.clock = Clock::System;
    let there = std::mem::replace(&mut world.inbox, Inbox::start(inbox::Options::default()).await.unwrap());
    let port = world.inbox.addr().port();
    let down = world.config_text();
    drop(there);
    world.inbox = Inbox::start(inbox::Options::default()).await.unwrap();
    assert_ne!(world.inbox.addr().port(), port);
    let path = world.dir.path().join("down.toml");
    std::fs::write(&path, down).unwrap();
    let output = tokio::process::Command::from(crate::world::program(&path)).arg("once").output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{told}");
    assert!(told.contains(&port.to_string()) && told.contains("smtp.host"), "{told}");
    assert_eq!(world.once().await.accepted, 2);
    world.finish().await;
}

#[tokio::test]
async fn a_password_that_is_refused_pauses_the_relay() {
    let mut world = World::new(1).await;
    let credentials = Credentials { username: "mailer".into(), password: "right".into() };
    let options = inbox::Options { credentials: Some(credentials), ..inbox::Options::default() };
    world.inbox = Inbox::start(options).await.unwrap();
    let auth =
        |password: &str| format!("auth = {{ kind = \"password\", username = \"mailer\", password = \"{password}\" }}");
    world.smtp = auth("wrong-canary");
    assert!(matches!(world.config().smtp.auth, Auth::Password { .. }));
    let summary = world.once().await;
    let told = summary.errors.join("\n");
    assert!(told.contains("535") && told.contains("AUTH") && told.contains("check smtp.auth"), "{told}");
    let kept = format!("{told} {:?}", world.deliveries().await);
    for secret in ["canary", &STANDARD.encode("\0mailer\0wrong-canary"), &STANDARD.encode("wrong-canary")] {
        assert!(!kept.contains(secret), "{kept}");
    }
    assert_eq!(world.states().await, ["ap@contoso.example pending"]);
    world.smtp = auth("right");
    assert_eq!(world.once().await.accepted, 1);
    world.finish().await;
}
