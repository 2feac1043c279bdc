//! Mails every new Azure invoice, once, to the recipients that opted in.
//!
//! `docs/ARCHITECTURE.md` is the map.

pub mod app;
pub mod archive;
pub mod azure;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod jobs;
pub mod ledger;
pub mod mail;
pub mod report;
pub mod simulator;
pub mod telemetry;
