//! The outside world on loopback: the Azure Billing API and an inbox, for `demo`, `simulate` and tests.
//!
//! It imports `domain` only: what the program believes about Azure and SMTP is checked against this module, so the
//! two must not share code.

pub mod accounts;
pub mod azure;
pub mod inbox;
pub mod pdf;

pub use azure::Simulator;
pub use inbox::Inbox;
