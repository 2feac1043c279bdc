//! `run`: it wakes, mails, keeps the ledger to itself, and stops as it should.

use std::process::Stdio;
use std::time::{Duration, Instant};

use invoice_mailer::clock::Clock;
use invoice_mailer::simulator::inbox::Trouble;
use tokio::process::{Child, Command};

use crate::world::{World, program};

fn start(world: &World) -> Child {
    let mut command = Command::from(program(&world.config_file()));
    command.arg("run").stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

fn terminate(child: &Child) {
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
}

async fn mails(world: &World, count: usize) {
    let waited = tokio::time::timeout(Duration::from_secs(20), world.inbox.wait_for(count)).await;
    waited.unwrap_or_else(|_| panic!("only {} mails came", world.inbox.count()));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_mails_at_the_start_and_stops_at_once_when_idle() {
    let mut world = World::new(3).await;
    world.to(&["ap@contoso.example", "reject@contoso.example"]);
    let daemon = start(&world);
    mails(&world, 3).await;
    // Let it record the last answer and go idle.
    tokio::time::sleep(Duration::from_millis(300)).await;
    terminate(&daemon);
    let began = Instant::now();
    let output = daemon.wait_with_output().await.unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
    assert!(log.contains("r…@contoso.example"), "{log}");
    for secret in ["ap@contoso.example", "reject@contoso.example", "simulated-token"] {
        assert!(!log.contains(secret), "{log}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_is_refused_and_reading_verbs_work_beside_it() {
    let world = World::new(2).await;
    let daemon = start(&world);
    mails(&world, 2).await;
    let config = world.config_file();
    for verb in ["run", "once"] {
        let output = Command::from(program(&config)).arg(verb).output().await.unwrap();
        assert_eq!(output.status.code(), Some(75), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for verb in ["invoices", "deliveries"] {
        let output = Command::from(program(&config)).args([verb, "--json"]).output().await.unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2, "{verb}");
    }
    terminate(&daemon);
    assert!(daemon.wait_with_output().await.unwrap().status.success());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tries_again_by_itself_what_was_put_off() {
    let mut world = World::new(1).await;
    world.to(&["greylist@contoso.example"]);
    world.delivery = "retry = [\"1s\"]".into();
    let daemon = start(&world);
    mails(&world, 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    terminate(&daemon);
    assert!(daemon.wait_with_output().await.unwrap().status.success());
    assert_eq!(world.states().await, ["greylist@contoso.example accepted"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_the_dot_drops_the_mail_and_a_stop_after_it_waits_for_the_answer() {
    // Both servers never answer: to RCPT, and to the final dot.
    for (recipient, state, waits) in
        [("hang-rcpt@contoso.example", "pending", false), ("hang-dot@contoso.example", "sending", true)]
    {
        let mut world = World::new(1).await;
        world.to(&[recipient]);
        let mut daemon = start(&world);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        terminate(&daemon);
        let ended = tokio::time::timeout(Duration::from_secs(2), daemon.wait()).await;
        assert_eq!(ended.is_err(), waits, "{recipient}");
        daemon.kill().await.unwrap();
        let rows = world.deliveries().await;
        assert_eq!(rows[0].state, state, "{recipient}");
        if !waits {
            assert_eq!(rows[0].attempts, 1);
            world.finish().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_back_what_a_killed_one_left() {
    let mut world = World::new(1).await;
    world.clock = Clock::System;
    world.inbox.set_trouble(Some(Trouble::RefuseConnections));
    world.once().await;
    world.inbox.set_trouble(None);
    let killed = world.open().await;
    let claim = killed.ledger.claim(Clock::System.now(), &killed.config.delivery).await.unwrap();
    assert!(claim.is_some());
    drop(claim);
    killed.ledger.close().await;
    let daemon = start(&world);
    mails(&world, 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    terminate(&daemon);
    assert!(daemon.wait_with_output().await.unwrap().status.success());
    world.finish().await;
}
