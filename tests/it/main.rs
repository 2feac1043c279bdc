//! The program against the simulated outside world: Azure over HTTP, the relay over SMTP, a real ledger and archive.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod architecture;
mod cli;
mod crash;
mod daemon;
mod deliver;
mod fetch;
mod ledger;
mod smtp_faults;
mod smtp_tls;
mod world;
