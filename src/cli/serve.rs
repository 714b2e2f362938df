//! `holdfast serve`: the console and the doors for devices.
use crate::app::{self, App};
use crate::cli::lock::{Lock, holder};
use crate::clock::Clock;
use crate::config::{Config, Options};
use anyhow::Context;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the settings are wrong, another process has the data folder, or the server cannot start.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let config = Config::new(options)?;
    let _lock = take(&config.data)?;
    let app = App::open(config, Clock::System)?;
    let listener = app.listener()?;
    let url = app.config.public_url.clone();
    actix_web::rt::System::new().block_on(serve(app, listener, || tracing::info!(url, "ready")))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the data folder and takes it for this process.
///
/// # Errors
/// When another process has it.
pub fn take(data: &Path) -> anyhow::Result<Lock> {
    app::make_private_folder(data)?;
    Lock::take(data)?.with_context(|| {
        format!("{} uses {}; stop it, or choose another folder with --data", holder(data), data.display())
    })
}

/// Serves on `listener` until Ctrl-C, SIGTERM or [`Wake::stop`](crate::wake::Wake::stop); `ready` is called when it answers.
///
/// # Errors
/// When the server cannot start, or ends badly.
pub async fn serve(app: App, listener: TcpListener, ready: impl FnOnce()) -> anyhow::Result<()> {
    let server = app.serve(listener)?;
    let jobs = app.start_jobs();
    ready();
    let (handle, wake) = (server.handle(), app.wake.clone());
    actix_web::rt::spawn(async move {
        tokio::select! {
            () = told_to_stop() => {}
            () = wake.stopped() => {}
        }
        wake.stop();
        app::stop(handle).await;
    });
    server.await?;
    app.wake.stop();
    jobs.finished().await;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
pub(super) async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
