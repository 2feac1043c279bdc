//! Values and decisions: what an invoice, a recipient and a delivery are, and what follows from an outcome.
//!
//! Everything here is synchronous and total. It knows no clock (time is an argument), no database, no network.

pub mod attempt;
pub mod billing;
pub mod calendar;
pub mod delivery;
pub mod document;
pub mod invoice;
pub mod label;
pub mod mail;
pub mod money;
pub mod recipients;
pub mod retry;
