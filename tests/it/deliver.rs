//! Every document reaches every opted-in recipient, once.

use std::collections::BTreeMap;

use invoice_mailer::simulator::accounts::{Document, mosp_account, tax_receipt};
use invoice_mailer::simulator::inbox::Trouble;
use jiff::SignedDuration;

use crate::world::{World, contoso, header, now, pdfs};

#[tokio::test]
async fn a_year_of_invoices_reaches_everybody_with_the_very_pdfs_that_azure_served() {
    let mut world = World::with(vec![contoso(12), mosp_account("Fabrikam", 9, now())]).await;
    world.to(&["ap@contoso.example", "controller@contoso.example"]);
    let summary = world.once().await;
    assert_eq!(summary.errors, Vec::<String>::new());
    assert_eq!((summary.profiles, summary.invoices_new, summary.accepted), (2, 24, 48));
    let mut served = BTreeMap::new();
    for invoice in world.simulator.accounts().iter().flat_map(|account| &account.invoices) {
        for document in &invoice.documents {
            served.insert(world.simulator.sha256(&invoice.name, &document.name).unwrap(), 0);
        }
    }
    for mail in world.inbox.messages() {
        for hash in pdfs(&mail) {
            *served.get_mut(&hash).expect("a PDF that Azure never served") += 1;
        }
    }
    assert!(served.values().all(|count| *count == 2), "{served:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_second_pass_lists_again_and_mails_nothing() {
    let world = World::new(3).await;
    assert_eq!(world.once().await.accepted, 3);
    world.simulator.clear_requests();
    let summary = world.once().await;
    assert_eq!((summary.invoices_new, summary.deliveries_created, summary.accepted), (0, 0, 0));
    let requests = world.simulator.requests();
    assert!(requests.iter().any(|request| request.path_and_query.contains("/invoices?")), "it lists again");
    assert!(requests.iter().all(|request| request.method == "GET" && !request.blob), "it downloads nothing");
    assert_eq!(world.inbox.count(), 3);
    world.finish().await;
}

#[tokio::test]
async fn a_recipient_added_later_gets_only_newer_invoices() {
    let mut account = contoso(3);
    let newest = account.invoices.pop().unwrap();
    let name = account.name.clone();
    let mut world = World::with(vec![account]).await;
    world.once().await;
    world.to(&["ap@contoso.example", "new@contoso.example"]);
    assert_eq!(world.once().await.deliveries_created, 0);
    assert!(world.simulator.add_invoice(&name, newest));
    assert_eq!(world.once().await.accepted, 2);
    let to_new = world.inbox.messages().iter().filter(|mail| mail.to == ["new@contoso.example"]).count();
    assert_eq!((to_new, world.inbox.count()), (1, 4));
    world.finish().await;
}

#[tokio::test]
async fn one_refused_and_one_put_off_recipient_do_not_touch_the_others() {
    let mut world = World::new(1).await;
    world.to(&["ap@contoso.example", "reject@contoso.example", "greylist@contoso.example"]);
    let summary = world.once().await;
    assert_eq!((summary.accepted, summary.refused, summary.deferred), (1, 1, 1));
    assert_eq!(world.once().await.accepted, 0, "what was put off is not due yet");
    world.step(SignedDuration::from_mins(6));
    assert_eq!(world.once().await.accepted, 1);
    world.step(SignedDuration::from_hours(200));
    assert_eq!(world.once().await.accepted, 0);
    let expected =
        ["ap@contoso.example accepted", "greylist@contoso.example accepted", "reject@contoso.example refused"];
    assert_eq!(world.states().await, expected);
    assert_eq!(world.inbox.count(), 2, "nobody is mailed twice");
    world.finish().await;
}

#[tokio::test]
async fn a_tax_receipt_that_comes_later_goes_out_alone_in_the_same_thread() {
    let account = contoso(1);
    let invoice = account.invoices[0].clone();
    let world = World::with(vec![account]).await;
    world.once().await;
    let receipt: Document = tax_receipt(&invoice);
    assert!(world.simulator.add_document(&invoice.name, receipt.clone()));
    assert_eq!(world.once().await.accepted, 1);
    let [first, second] = world.inbox.messages().try_into().unwrap();
    assert_eq!(pdfs(&second), [world.simulator.sha256(&invoice.name, &receipt.name).unwrap()]);
    assert_eq!(header(&second, "In-Reply-To"), header(&first, "Message-ID"));
    assert_eq!(header(&second, "References"), header(&first, "Message-ID"));
    assert!(header(&second, "Subject").unwrap().contains("tax receipt"));
    world.finish().await;
}

#[tokio::test]
async fn invoices_before_the_first_look_are_recorded_not_mailed() {
    let mut account = contoso(3);
    let mut todays = account.invoices.pop().unwrap();
    todays.invoice_at = now();
    account.invoices.push(todays.clone());
    let mut world = World::with(vec![account]).await;
    world.profiles = vec![world.profiles[0].replace("deliver_since = 2025-01-01", "")];
    let summary = world.once().await;
    assert_eq!((summary.invoices_new, summary.accepted), (3, 1));
    let unfetched =
        world.invoices().await.iter().filter(|row| row.documents.iter().all(|d| d.sha256.is_none())).count();
    assert_eq!(unfetched, 2);
    assert!(header(&world.inbox.messages()[0], "Subject").unwrap().contains(&todays.name));
    world.finish().await;
}

#[tokio::test]
async fn an_import_mailbox_gets_exactly_one_pdf_a_mail_and_no_receipts() {
    let mut account = contoso(1);
    let receipt = tax_receipt(&account.invoices[0]);
    account.invoices[0].documents.push(receipt);
    let mut world = World::with(vec![account]).await;
    world.members = vec![
        r#"{ address = "ap@contoso.example", opted_in_on = 2025-01-01 }"#.into(),
        r#"{ address = "erp@contoso.example", opted_in_on = 2025-01-01, kind = "erp" }"#.into(),
    ];
    world.once().await;
    let mut counts: Vec<_> = world.inbox.messages().iter().map(|mail| (mail.to[0].clone(), pdfs(mail).len())).collect();
    counts.sort();
    assert_eq!(counts, [("ap@contoso.example".into(), 2), ("erp@contoso.example".into(), 1)]);
    world.finish().await;
}

#[tokio::test]
async fn connections_are_kept_and_never_more_than_allowed() {
    let mut world = World::new(12).await;
    world.smtp = "max_connections = 2".into();
    world.to(&["a@contoso.example", "b@contoso.example", "c@contoso.example"]);
    assert_eq!(world.once().await.accepted, 36);
    let connections = world.inbox.connections();
    assert!(connections.most <= 2 && connections.total <= 2, "{connections:?}");
    world.finish().await;
}

#[tokio::test]
async fn the_pace_is_kept() {
    let mut world = World::new(4).await;
    world.smtp = "max_connections = 3".into();
    world.per_minute = 240;
    let began = std::time::Instant::now();
    assert_eq!(world.once().await.accepted, 4);
    let took = began.elapsed().as_millis();
    assert!(took >= 750, "four mails at four a second took {took} ms");
    world.finish().await;
}

#[tokio::test]
async fn a_recipient_who_left_before_the_mail_went_out_is_not_mailed() {
    let mut world = World::new(1).await;
    world.to(&["ap@contoso.example", "greylist@contoso.example"]);
    world.once().await;
    let config = world.members.clone();
    world.to(&["ap@contoso.example"]);
    world.step(SignedDuration::from_mins(10));
    world.once().await;
    assert_eq!(world.states().await, ["ap@contoso.example accepted", "greylist@contoso.example withdrawn"]);
    assert_eq!(world.inbox.count(), 1);
    world.members = config;
    world.finish().await;
}

#[tokio::test]
async fn a_new_alias_of_a_profile_loses_nothing_and_an_entry_that_is_gone_withdraws() {
    for (entries, state) in [(1, "accepted"), (0, "withdrawn")] {
        let mut world = World::with(vec![contoso(1), mosp_account("Fabrikam", 9, now())]).await;
        world.inbox.set_trouble(Some(Trouble::RefuseConnections));
        world.once().await;
        world.inbox.set_trouble(None);
        world.profiles[0] = world.profiles[0].replace("contoso-engineering", "renamed");
        world.profiles.drain(..1 - entries);
        world.once().await;
        let rows = world.deliveries().await;
        let row = rows.iter().find(|row| row.profile.as_deref() == Some("contoso-engineering")).unwrap();
        assert_eq!(row.state, state);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_new_alias_beside_an_entry_for_the_whole_account_loses_nothing() {
    let account = contoso(1);
    let mut world = World::with(vec![account.clone()]).await;
    world.inbox.set_trouble(Some(Trouble::RefuseConnections));
    world.once().await;
    world.inbox.set_trouble(None);
    let renamed = world.profiles[0].replace("contoso-engineering", "renamed");
    let list = "[lists.finance]\nmembers = [{ address = \"finance@contoso.example\", opted_in_on = 2025-01-01 }]";
    let whole = format!(
        "[[profiles]]\nname = \"whole\"\nagreement = \"mca\"\nbilling_account = \"{}\"\nlists = [\"finance\"]",
        account.name
    );
    world.profiles = vec![list.into(), whole, renamed];
    assert_eq!(world.once().await.accepted, 1);
    assert_eq!(world.states().await, ["ap@contoso.example accepted"]);
    world.finish().await;
}

#[tokio::test]
async fn what_is_given_up_by_age_is_told() {
    let mut world = World::new(1).await;
    world.to(&["tempfail@contoso.example"]);
    world.delivery = "give_up_after = \"1h\"".into();
    world.once().await;
    world.step(SignedDuration::from_hours(2));
    let summary = world.once().await;
    assert_eq!(world.states().await, ["tempfail@contoso.example expired"]);
    assert!(summary.errors.join(" ").contains("1 expired"), "{:?}", summary.errors);
    world.finish().await;
}

#[tokio::test]
async fn a_document_that_is_missing_holds_up_nobody_else() {
    let mut world = World::new(3).await;
    world.smtp = "max_connections = 1".into();
    world.inbox.set_trouble(Some(Trouble::RefuseConnections));
    world.once().await;
    world.inbox.set_trouble(None);
    let sha256 = world.invoices().await[0].documents[0].sha256.clone().unwrap();
    let file = world.dir.path().join("archive").join(&sha256[..2]).join(format!("{sha256}.pdf"));
    let away = world.dir.path().join("away.pdf");
    std::fs::rename(&file, &away).unwrap();
    let summary = world.once().await;
    assert_eq!((summary.accepted, summary.deferred), (2, 1));
    assert!(summary.errors.join(" ").contains(&sha256), "{:?}", summary.errors);
    std::fs::rename(&away, &file).unwrap();
    world.step(SignedDuration::from_mins(10));
    assert_eq!(world.once().await.accepted, 1);
    world.finish().await;
}

#[tokio::test]
async fn an_archive_that_cannot_be_read_holds_nothing() {
    let world = World::new(2).await;
    world.inbox.set_trouble(Some(Trouble::RefuseConnections));
    world.once().await;
    world.inbox.set_trouble(None);
    let (archive, away) = (world.dir.path().join("archive"), world.dir.path().join("away"));
    std::fs::rename(&archive, &away).unwrap();
    let summary = world.once().await;
    assert_eq!((summary.accepted, summary.held), (0, 0));
    assert!(summary.errors.join(" ").contains("archive"), "{:?}", summary.errors);
    std::fs::remove_dir_all(&archive).unwrap();
    std::fs::rename(&away, &archive).unwrap();
    world.step(SignedDuration::from_mins(10));
    assert_eq!(world.once().await.accepted, 2);
    world.finish().await;
}
