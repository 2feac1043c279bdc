//! The verbs as a person meets them.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output};

use invoice_mailer::clock::Clock;
use invoice_mailer::domain::document::Sha256Hash;
use invoice_mailer::domain::invoice::utc_day;
use serde_json::Value;

use crate::world::{World, pdfs, program};

fn run(config: &Path, args: &[&str]) -> Output {
    program(config).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_reads_well() {
    let mut text = String::new();
    let verbs: [&[&str]; 12] = [
        &[],
        &["run"],
        &["once"],
        &["demo"],
        &["simulate"],
        &["check"],
        &["config"],
        &["config", "show"],
        &["config", "schema"],
        &["invoices"],
        &["deliveries"],
        &["preview"],
    ];
    for verb in verbs {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invoice-mailer"));
        let output = command.args(verb).arg("--help").env("COLUMNS", "100").output().unwrap();
        assert!(output.status.success());
        writeln!(text, "$ invoice-mailer {} --help\n{}", verb.join(" "), stdout(&output)).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn ten_faults_are_ten_messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests");
    let mut command = Command::new(env!("CARGO_BIN_EXE_invoice-mailer"));
    let output = command.current_dir(folder).args(["--config", "ten_faults.toml", "check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(stdout(&output).lines().count(), 10);
    let today = utc_day(Clock::System.now()).to_string();
    insta::assert_snapshot!(stdout(&output).replace(&today, "(today)"));
}

#[tokio::test]
async fn check_and_config_tell_what_is_in_effect_without_secrets() {
    let world = World::new(1).await;
    let config = world.config_file();
    let checked = run(&config, &["check"]);
    assert!(checked.status.success() && stdout(&checked).contains("profiles 1"), "{}", stdout(&checked));
    let shown = stdout(&run(&config, &["config", "show"]));
    assert!(shown.contains("smtp.host") && shown.contains("config.toml"), "{shown}");
    assert!(!shown.contains("simulated-token"), "{shown}");
    let schema: Value = serde_json::from_slice(&run(&config, &["config", "schema"]).stdout).unwrap();
    assert!(schema["properties"]["smtp"].is_object());
    let missing = run(Path::new("/nowhere/config.toml"), &["check"]);
    assert_eq!(missing.status.code(), Some(78));
    assert!(stdout(&missing).contains("/nowhere/config.toml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verbs_tell_the_story_of_an_invoice() {
    let mut world = World::new(2).await;
    world.to(&["ap@contoso.example", "reject@contoso.example"]);
    let config = world.config_file();
    let before = run(&config, &["invoices"]);
    assert_eq!(before.status.code(), Some(1));
    assert!(stderr(&before).contains("there is no ledger"), "{}", stderr(&before));

    let once = run(&config, &["once", "--json"]);
    assert_eq!(once.status.code(), Some(1), "refused mails need a person: {}", stderr(&once));
    let summary: Value = serde_json::from_str(&stdout(&once)).unwrap();
    for (key, value) in
        [("profiles", 1), ("invoices_new", 2), ("deliveries_created", 4), ("accepted", 2), ("refused", 2)]
    {
        assert_eq!(summary[key], value, "{key}");
    }
    assert_eq!(summary["errors"], serde_json::json!(["2 refused in this pass: see `deliveries --state refused`"]));

    let number = reads_well(&config);
    let number = number.as_str();
    let preview = run(&config, &["preview", number, "--to", "AP@contoso.example"]);
    let mail = world
        .inbox
        .messages()
        .into_iter()
        .find(|mail| mail.to == ["ap@contoso.example"] && { String::from_utf8_lossy(&mail.data).contains(number) });
    let mail = mail.unwrap();
    assert_eq!([preview.stdout.as_slice(), b"\r\n"].concat(), mail.data, "the preview is the very mail");
    assert_eq!(pdfs(&mail).len(), 1);
    assert_ne!(Sha256Hash::of(&preview.stdout), Sha256Hash::of(b""));
    world.finish().await;
}

/// Reads invoices and deliveries; gives the number of the first invoice.
fn reads_well(config: &Path) -> String {
    let invoices = stdout(&run(config, &["invoices", "--json"]));
    let invoice: Value = serde_json::from_str(invoices.lines().next().unwrap()).unwrap();
    for key in [
        "id",
        "profile",
        "billing_account",
        "invoice",
        "document_type",
        "status",
        "invoice_date",
        "due_date",
        "period_start",
        "period_end",
        "amount",
        "currency",
        "purchase_order",
        "documents",
        "deliveries",
    ] {
        assert!(invoice.get(key).is_some(), "{key} is missing: {invoice}");
    }
    assert_eq!(invoice["deliveries"]["accepted"], 1);
    let number = invoice["invoice"].as_str().unwrap();

    let deliveries = stdout(&run(config, &["deliveries", "--json", "--invoice", number]));
    assert_eq!(deliveries.lines().count(), 2);
    let delivery: Value = serde_json::from_str(deliveries.lines().next().unwrap()).unwrap();
    for key in [
        "id",
        "mail_kind",
        "profile",
        "billing_account",
        "invoice",
        "documents",
        "recipient",
        "list",
        "member_kind",
        "generation",
        "state",
        "reason",
        "attempts",
        "queued_at",
        "due_at",
        "finished_at",
        "message_id",
        "reply",
    ] {
        assert!(delivery.get(key).is_some(), "{key} is missing: {delivery}");
    }
    assert!(delivery["reply"].as_str().unwrap().starts_with("250 "));
    let refused = stdout(&run(config, &["deliveries", "--state", "refused"]));
    assert!(refused.contains("reject@contoso.example") && refused.contains("550"), "{refused}");
    number.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_on_the_command_line_are_told() {
    let world = World::new(1).await;
    let config = world.config_file();
    for (args, code, says) in [
        (vec!["once", "--profile", "nobody"], 2, "there is no profile `nobody`"),
        (vec!["frobnicate"], 2, "unrecognized subcommand"),
        (vec!["deliveries", "--state", "sent"], 2, "pending"),
        (vec!["invoices", "--since", "yesterday"], 2, "yesterday"),
    ] {
        let output = run(&config, &args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(stderr(&output).contains(says), "{args:?}: {}", stderr(&output));
    }
    run(&config, &["once"]);
    let unknown = run(&config, &["preview", "G404"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("G404"), "{}", stderr(&unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_variables_and_a_closed_pipe_are_no_failure() {
    let world = World::new(1).await;
    let config = world.config_file();
    let odd = program(&config).arg("check").env("ODD", OsStr::from_bytes(b"\xff")).output().unwrap();
    assert!(odd.status.success(), "{}", stderr(&odd));
    for args in [&["check"][..], &["config", "show"], &["config", "schema"], &["once", "--json"], &["deliveries"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = program(&config).args(args).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_what_will_go_out_now_and_what_went_out_then() {
    let mut world = World::new(1).await;
    world.to(&["greylist@contoso.example"]);
    world.delivery = "retry = [\"1ms\"]".into();
    let config = world.config_file();
    run(&config, &["once"]);
    let number = world.invoices().await[0].invoice.name.clone();
    let changed = std::fs::read_to_string(&config).unwrap().replace("Invoices <invoices@", "Billing <billing@");
    std::fs::write(&config, changed).unwrap();
    let shown = |config: &Path| stdout(&run(config, &["preview", &number]));
    assert!(shown(&config).contains("From: Billing <billing@"), "no attempt binds the bytes yet");
    world.config_file();
    assert!(run(&config, &["once"]).status.success());
    let preview = shown(&config);
    assert_eq!(format!("{preview}\r\n").as_bytes(), world.inbox.messages()[0].data);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_verbs_need_no_secret_and_tell_when_nothing_matches() {
    let mut world = World::new(1).await;
    world.to(&["greylist@contoso.example"]);
    let config = world.config_file();
    let once = run(&config, &["once"]);
    assert!(stdout(&once).contains("still waiting 1"), "{}", stdout(&once));
    let number = world.invoices().await[0].invoice.name.to_lowercase();
    let secret = r#"{ kind = "static_token", token = { file = "/nowhere/token" } }"#;
    let text = std::fs::read_to_string(&config).unwrap();
    let line = text.lines().find(|line| line.starts_with("credential")).unwrap();
    std::fs::write(&config, text.replace(line, &format!("credential = {secret}"))).unwrap();
    assert_eq!(run(&config, &["check"]).status.code(), Some(78));
    for args in [vec!["invoices", "--invoice", &number], vec!["deliveries"], vec!["preview", &number]] {
        let output = run(&config, &args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        assert!(stdout(&output).contains("greylist@") || args[0] == "invoices", "{args:?}");
    }
    let nothing = run(&config, &["deliveries", "--profile", "nobody"]);
    assert!(stderr(&nothing).contains("there is no profile `nobody`"), "{}", stderr(&nothing));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_filter_makes_the_program_mute() {
    let world = World::new(1).await;
    let config = world.config_file();
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap().replace("port = ", "port = 1 # ")).unwrap();
    let once = program(&config).arg("once").env("RUST_LOG", "nonsense").output().unwrap();
    assert!(stderr(&once).contains("the relay is in trouble"), "{}", stderr(&once));
}
