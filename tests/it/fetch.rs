//! What Azure may answer, and what then happens: a clear message, a state, and everybody else goes on.

use invoice_mailer::simulator::Simulator;
use invoice_mailer::simulator::accounts::{mca_account, mosp_account};
use invoice_mailer::simulator::azure::{Access, Download, Fault, FaultKind, Operation, Options};
use jiff::SignedDuration;
use std::time::Duration;

use crate::world::{World, contoso, entries, header, now, pdfs};

/// Each fault lasts for the whole first pass; the second pass finds Azure well again.
#[tokio::test]
async fn a_fault_is_told_mails_nothing_wrong_and_the_next_pass_mends_it() {
    use FaultKind::{Empty, Hang, Html, NextLinkElsewhere, NotPdf, RateLimited, Status, Truncated};
    for (on, kind, says) in [
        (Operation::List, Status(500, None), "500"),
        (Operation::List, Status(403, None), "403"),
        (Operation::List, Status(404, None), "404"),
        (Operation::List, Html, "HTML"),
        (Operation::List, Empty, "JSON"),
        (Operation::List, Truncated, "end of file"),
        (Operation::List, Hang, "no answer"),
        (Operation::List, RateLimited("17".into()), "429"),
        (Operation::List, NextLinkElsewhere, "elsewhere.example"),
        (Operation::Download, Status(500, None), "500"),
        (Operation::Download, Html, "HTML"),
        (Operation::Blob, Html, "PDF"),
        (Operation::Blob, NotPdf, "PDF"),
        (Operation::Blob, Empty, "PDF"),
        (Operation::Blob, Truncated, "cut"),
        (Operation::Blob, Status(404, None), "404"),
    ] {
        let world = World::new(1).await;
        world.simulator.inject(Fault { on, kind: kind.clone(), times: 10 });
        let summary = world.once().await;
        let told = summary.errors.join("\n");
        assert!(told.to_lowercase().contains(&says.to_lowercase()), "{on:?} {kind:?}: {told}");
        assert!(told.contains("contoso-engineering"), "{on:?} {kind:?} does not name the profile: {told}");
        assert!(!told.contains("sig=") && !told.contains("simulated-token"), "{told}");
        let passes = matches!(&kind, Status(500, _) | RateLimited(_));
        let remedies = ["check", "give the application", "portal", "update invoice-mailer"];
        assert!(passes || remedies.iter().any(|remedy| told.contains(remedy)), "no remedy: {told}");
        // What a proxy put in the place of a document has none.
        let has_id = told.contains("request-id") || (on == Operation::Blob && told.contains("no request id"));
        assert!(has_id || matches!(kind, NextLinkElsewhere), "no request id: {told}");
        assert_eq!((summary.accepted, world.inbox.count()), (0, 0), "{on:?} {kind:?}");
        heal(&world).await;
        world.once().await;
        assert_eq!(world.inbox.count(), 1, "{on:?} {kind:?} was not mended");
        world.finish().await;
    }
}

/// Uses up the faults that are left.
async fn heal(world: &World) {
    for _ in 0..12 {
        if world.simulator.faults().is_empty() {
            return;
        }
        world.once().await;
    }
    panic!("the fault never ends: {:?}", world.simulator.faults());
}

#[tokio::test]
async fn passing_trouble_within_a_pass_is_ridden_out() {
    for (on, kind) in [
        (Operation::List, FaultKind::Status(503, Some("0".into()))),
        (Operation::List, FaultKind::RateLimited("garbage".into())),
        (Operation::List, FaultKind::Status(401, None)),
        (Operation::Download, FaultKind::RateLimited("-1".into())),
        (Operation::Blob, FaultKind::ExpiredSas),
        (Operation::List, FaultKind::UnknownEnums),
    ] {
        let world = World::new(1).await;
        world.simulator.inject(Fault { on, kind: kind.clone(), times: 1 });
        let summary = world.once().await;
        assert_eq!((summary.accepted, summary.errors.len()), (1, 0), "{on:?} {kind:?}: {:?}", summary.errors);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_download_that_takes_polls_and_a_passing_404_is_waited_for() {
    let mut world = World::new(2).await;
    let options = Options::new(now(), world.simulator.accounts());
    let download = Download { polls: 3, retry_after_s: 1, first_poll_not_found: true, ..options.download };
    world.simulator = Simulator::start(Options { download, ..options }).await.unwrap();
    let summary = world.once().await;
    assert_eq!(summary.accepted, 2, "{:?}", summary.errors);
    world.finish().await;
}

#[tokio::test]
async fn an_unreadable_profile_is_told_and_the_others_go_on() {
    for (access, says) in [(Access::EmptyList, "role"), (Access::Forbidden, "role")] {
        let account = mca_account("Contoso", &["One", "Two"], now());
        let closed = account.profiles[0].name.clone();
        let world = World::with(vec![account]).await;
        world.simulator.set_access(&closed, access);
        let summary = world.once().await;
        assert_eq!(summary.accepted, 12);
        let told = summary.errors.join("\n");
        assert!(told.contains("`one`") && told.contains(says) && told.contains(&closed), "{told}");
        assert!(!told.contains("`two`"), "{told}");
        world.finish().await;
    }
}

#[tokio::test]
async fn an_invoice_without_documents_is_looked_at_again_and_never_mailed_empty() {
    let account = contoso(1);
    let name = account.invoices[0].name.clone();
    let world = World::with(vec![account]).await;
    let documents = world.simulator.take_documents(&name).unwrap();
    let summary = world.once().await;
    assert_eq!((summary.invoices_new, summary.deliveries_created), (1, 0));
    assert!(world.invoices().await[0].problem.as_deref().unwrap().contains("not ready"));
    for document in documents {
        assert!(world.simulator.add_document(&name, document));
    }
    assert_eq!(world.once().await.accepted, 1);
    assert_eq!(world.invoices().await[0].problem, None);
    world.finish().await;
}

#[tokio::test]
async fn an_invoice_under_two_ids_is_mailed_once() {
    let account = contoso(2);
    let mut world = World::with(vec![account.clone()]).await;
    let subscription = &account.subscriptions[0].id;
    world.profiles.push(format!(
        "[[profiles]]\nname = \"by-subscription\"\nagreement = \"mosp\"\nsubscription = \"{subscription}\"\n\
         lists = [\"accounting\"]\ndeliver_since = 2025-01-01"
    ));
    let summary = world.once().await;
    assert_eq!((summary.profiles, summary.accepted), (2, 2), "{:?}", summary.errors);
    assert_eq!(world.inbox.count(), 2);
    world.finish().await;
}

#[tokio::test]
async fn the_account_of_a_subscription_is_asked_for_once_and_a_whole_account_is_one_list() {
    let world = World::with(vec![mosp_account("Fabrikam", 9, now())]).await;
    let asked = |world: &World| {
        let is_property = |path: &str| path.to_lowercase().contains("billingproperty");
        world.simulator.requests().iter().filter(|request| is_property(&request.path_and_query)).count()
    };
    world.once().await;
    world.once().await;
    assert_eq!(asked(&world), 1);
    world.finish().await;

    let account = mca_account("Contoso", &["One", "Two", "Three"], now());
    let mut world = World::with(vec![account.clone()]).await;
    let whole =
        entries(&account)[0].lines().filter(|line| !line.starts_with("billing_profile")).collect::<Vec<_>>().join("\n");
    world.profiles = vec![whole];
    assert_eq!(world.once().await.accepted, 36);
    world.finish().await;
}

#[tokio::test]
async fn hostile_names_from_azure_harm_nothing() {
    for hostile in [
        "a\r\nBcc: victim@contoso.example\r\n\r\nbody",
        "inv\u{202e}fdp.exe",
        "../../../etc/passwd",
        "<script>alert(1)</script>",
        "{{ 7 * 7 }}{% include 'x' %}",
        &"n".repeat(500),
    ] {
        let account = contoso(1);
        let number = account.invoices[0].name.clone();
        let world = World::with(vec![account.clone()]).await;
        assert!(world.simulator.edit_account(&account.name, |account| {
            account.display_name = hostile.into();
            account.profiles[0].display_name = hostile.into();
        }));
        assert!(world.simulator.edit_invoice(&number, |invoice| invoice.purchase_order = Some(hostile.into())));
        assert_eq!(world.once().await.accepted, 1, "{hostile:?}");
        let mail = &world.inbox.messages()[0];
        assert_eq!(mail.to, ["ap@contoso.example"]);
        assert!(header(mail, "Bcc").is_none());
        assert_eq!(pdfs(mail).len(), 1);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_hostile_invoice_number_harms_nothing() {
    for hostile in ["G1/../../G2", "G1\r\nBcc: x@contoso.example", "G%2e%2e?x=1#y", "G\u{202e}1"] {
        let account = contoso(1);
        let number = account.invoices[0].name.clone();
        let world = World::with(vec![account]).await;
        assert!(world.simulator.edit_invoice(&number, |invoice| invoice.name = hostile.into()));
        let summary = world.once().await;
        assert_eq!((summary.accepted, world.inbox.count()), (1, 1), "{hostile:?}: {:?}", summary.errors);
        world.finish().await;
    }
}

#[tokio::test]
async fn an_invoice_that_should_have_been_seen_long_ago_waits_for_a_person() {
    let mut account = contoso(3);
    let old = account.invoices.remove(0);
    let name = account.name.clone();
    let world = World::with(vec![account]).await;
    world.once().await;
    world.step(SignedDuration::from_hours(24));
    assert!(world.simulator.add_invoice(&name, old.clone()));
    let summary = world.once().await;
    assert_eq!((summary.deliveries_created, summary.accepted, summary.held), (1, 0, 1));
    assert!(summary.errors[0].contains("1 held"), "{:?}", summary.errors);
    let rows = world.deliveries().await;
    let held = rows.iter().find(|row| row.invoice.as_deref() == Some(old.name.as_str())).unwrap();
    assert_eq!(held.state, "held");
    assert!(held.reason.as_deref().unwrap().contains("a person must decide"), "{:?}", held.reason);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_names_the_remedy() {
    let mut world = World::new(1).await;
    let options = Options::new(now(), world.simulator.accounts());
    let strict = Simulator::start(Options { token: "another".into(), ..options }).await.unwrap();
    let text = world.config_text().replace(
        world.simulator.endpoint().as_str().trim_end_matches('/'),
        strict.endpoint().as_str().trim_end_matches('/'),
    );
    assert!(text.contains(strict.endpoint().as_str().trim_end_matches('/')));
    world.tuning.azure.request_timeout = Duration::from_secs(5);
    let path = world.dir.path().join("wrong.toml");
    std::fs::write(&path, text).unwrap();
    let output = crate::world::program(&path).args(["once"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("401") && told.contains("contoso-engineering"), "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
    world.finish().await;
}

#[tokio::test]
async fn the_most_specific_entry_decides() {
    let account = mca_account("Contoso", &["One", "Two"], now());
    let mut world = World::with(vec![account.clone()]).await;
    let name = &account.profiles[0].name;
    let lower_case = name.to_lowercase();
    assert_ne!(*name, lower_case);
    let specific = entries(&account).remove(0).replace("accounting", "specific").replace(name, &lower_case);
    let whole = "[[profiles]]\nname = \"whole\"\nagreement = \"mca\"\nbilling_account = \"ACCOUNT\"\n\
                 lists = [\"accounting\"]\ndeliver_since = 2025-01-01";
    let list = "[lists.specific]\nmembers = [{ address = \"one@contoso.example\", opted_in_on = 2025-01-01 }]";
    world.profiles = vec![list.into(), whole.replace("ACCOUNT", &account.name), specific];
    assert_eq!(world.once().await.accepted, 24);
    let mails = world.inbox.messages();
    let (one, other): (Vec<_>, Vec<_>) = mails.iter().partition(|mail| mail.to == ["one@contoso.example"]);
    assert_eq!((one.len(), other.len()), (12, 12));
    assert!(one.iter().all(|mail| header(mail, "Subject").unwrap().contains(" - One - ")));
    assert!(other.iter().all(|mail| header(mail, "Subject").unwrap().contains(" - Two - ")));
}

#[tokio::test]
async fn invoices_whose_first_download_failed_are_mailed_when_it_goes_well() {
    let mut world = World::new(12).await;
    world.tuning.azure.attempts = 1;
    let documents = world.simulator.accounts()[0].invoices.iter().map(|invoice| invoice.documents.len()).sum::<usize>();
    let times = u32::try_from(documents).unwrap();
    world.simulator.inject(Fault { on: Operation::Blob, kind: FaultKind::NotPdf, times });
    assert_eq!(world.once().await.accepted, 0);
    let summary = world.once().await;
    assert_eq!((summary.accepted, summary.held), (12, 0), "{:?}", summary.errors);
    world.finish().await;
}
