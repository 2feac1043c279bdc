//! From a recorded mail to the relay's verdict: text, bytes, SMTP. The only module that opens an SMTP connection.
//!
//! It knows no ledger: what must be written down before the final dot is handed in as a future.

pub mod compose;
pub mod dialogue;
mod error;
pub mod freeze;
pub mod relay;
pub mod template;
mod wire;

pub use error::Error;
