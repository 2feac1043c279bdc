//! The signals that end the program.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM or SIGINT; a SIGHUP does not end the program. If they cannot be listened to, waits for ever and leaves them their default action.
pub async fn until_stopped() {
    let listen = |kind| signal(kind).ok();
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let [Some(mut terminate), Some(mut interrupt), Some(mut hang_up)] = kinds.map(listen) else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hang_up.recv() => tracing::warn!("SIGHUP changes nothing: restart to load a changed configuration"),
        }
    }
}
