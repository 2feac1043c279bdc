//! kill -9 at random moments of `once`: nothing is lost, and a copy arises only from an unrecorded answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use invoice_mailer::simulator::inbox::Received;

use crate::world::{World, header, pdfs, program};

const KILLS: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing() {
    let mut world = World::new(10).await;
    let recipients: Vec<String> = (0..10).map(|n| format!("member{n}@contoso.example")).collect();
    world.to(&recipients.iter().map(String::as_str).collect::<Vec<_>>());
    world.delivery = "in_doubt_wait = \"1ms\"\nretry = [\"1ms\"]".into();
    let config = world.config_file();
    let mut seed = std::process::id();
    println!("seed {seed}");
    let mut amid_mails = 0;
    for kill in 0..KILLS {
        // A linear congruential step (Numerical Recipes).
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let random = u64::from(seed >> 16);
        // Every second kill falls into start-up and fetching, the others among the mails.
        let (mails, moment) = if kill % 2 == 0 { (0, 20 + random % 200) } else { (1, random % 15) };
        amid_mails += u32::from(kill_once(&world, &config, mails, Duration::from_millis(moment)).await);
    }
    println!("{amid_mails} of {KILLS} kills fell among the mails");
    assert!(amid_mails >= 5, "too few kills fell among the mails: {amid_mails}");
    let done = finish(&config).await;
    assert!(done, "the last passes did not finish");
    let mut received: BTreeMap<(String, String), Vec<Received>> = BTreeMap::new();
    for mail in world.inbox.messages() {
        let key = (mail.to[0].clone(), header(&mail, "Subject").unwrap());
        received.entry(key).or_default().push(mail);
    }
    assert_eq!(received.len(), 100, "each of 10 invoices reaches each of 10 recipients");
    let mut copies = 0;
    for ((to, subject), mails) in &received {
        assert!(mails.iter().all(|mail| mail.data == mails[0].data), "{to} {subject}: copies differ");
        assert!(!pdfs(&mails[0]).is_empty(), "{to} {subject}: no PDF");
        copies += mails.len() - 1;
    }
    assert!(u32::try_from(copies).unwrap() <= KILLS * 3, "at most one copy per kill and connection: {copies}");
    println!("{KILLS} kills, 100 deliveries, 0 lost, {copies} copies, all identical");
    for row in world.deliveries().await {
        assert_eq!(row.state, "accepted");
        let id = format!("<{}>", row.message_id);
        let came = world.inbox.messages().iter().filter(|mail| header(mail, "Message-ID") == Some(id.clone())).count();
        assert!((1..=row.attempts).contains(&i64::try_from(came).unwrap()), "{came} mails of {row:?}");
    }
    world.finish().await;
}

/// Starts `once`, waits for `mails` more mails and then for `moment`, and kills it; whether it had mailed some and was
/// still at work.
async fn kill_once(world: &World, config: &Path, mails: usize, moment: Duration) -> bool {
    let before = world.inbox.count();
    let mut once = tokio::process::Command::from(program(config));
    let mut child = once.arg("once").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let wait = async {
        world.inbox.wait_for(before + mails).await;
        tokio::time::sleep(moment).await;
    };
    tokio::select! {
        _ = child.wait() => return false,
        () = wait => {}
    }
    let was_mailing = world.inbox.count() > before;
    child.kill().await.unwrap();
    was_mailing
}

/// Runs `once` undisturbed until nothing is left to do.
async fn finish(config: &Path) -> bool {
    for _ in 0..5 {
        let status = tokio::process::Command::from(program(config)).arg("once").status().await.unwrap();
        if status.success() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
