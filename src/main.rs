//! The program: see `invoice-mailer --help`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    invoice_mailer::cli::main().await
}
