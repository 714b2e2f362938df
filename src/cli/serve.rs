//! `holdfast serve`: the console and the doors for devices.
use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::{Config, Options};
use std::process::ExitCode;

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the settings are wrong, or the server cannot start.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let app = App::open(Config::new(options)?, Clock::System)?;
    actix_web::rt::System::new().block_on(serve(app))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(app: App) -> anyhow::Result<()> {
    let listener = app.listener()?;
    let server = app.serve(listener)?;
    tracing::info!(url = app.config.public_url, "ready");
    let jobs = app.start_jobs();
    let (handle, wake) = (server.handle(), app.wake.clone());
    actix_web::rt::spawn(async move {
        told_to_stop().await;
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
