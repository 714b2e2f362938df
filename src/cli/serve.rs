//! `holdfast serve`: the console and the endpoints for devices.
use crate::app::{self, App};
use crate::cli::admin;
use crate::cli::control::{self, Answer, Request};
use crate::cli::lock::{Lock, holder};
use crate::cli::output::print;
use crate::config::{Config, Options};
use crate::{proof, service, store};
use actix_web::dev::Server;
use anyhow::Context;
use clock::Clock;
use domain::account::SET_UP_LINK_LIFE;
use domain::activity::Actor;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the settings are wrong, another process has the data folder, or the server cannot start.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    proof::confine::close_memory()?;
    let config = Config::new(options)?;
    let _lock = take(&config.data)?;
    let app = App::open(config, Clock::System)?;
    let listener = app.listener()?;
    let url = app.config.public_url.clone();
    offer_set_up(&app)?;
    actix_web::rt::System::new().block_on(serve(app, listener, || tracing::info!(url, "ready")))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the link for creating the owner's account while there is no owner.
fn offer_set_up(app: &App) -> anyhow::Result<()> {
    if app.store.is_read_only() {
        return Ok(());
    }
    let now = app.clock.now();
    let link = app.store.act_blocking(move |conn| match store::user::has_owner(conn)? {
        false => service::set_up::make_setup_link(conn, &Actor::system(), now).map(Some),
        true => Ok(None),
    })?;
    if let Some(path) = link {
        print(&format!(
            "Open this to create the owner's account. It works once, until {}:\n{}{path}\n",
            (now + SET_UP_LINK_LIFE).iso(),
            app.config.public_url
        ));
    }
    Ok(())
}

/// Creates the data folder and takes it for this process.
///
/// # Errors
/// When another process has it.
pub fn take(data: &Path) -> anyhow::Result<Lock> {
    app::make_private_folder(data)?;
    Lock::take(data)?.with_context(|| {
        format!("{} is using {}; stop it, or choose another folder with --data", holder(data), data.display())
    })
}

/// Serves on `listener` until Ctrl-C, SIGTERM or [`Wake::stop`](crate::wake::Wake::stop); `ready` is called when it answers.
///
/// # Errors
/// When the server cannot start, or ends badly.
pub async fn serve(app: App, listener: TcpListener, ready: impl FnOnce()) -> anyhow::Result<()> {
    let apple = app.apple_listener()?.map(|it| app.serve_apple(it)).transpose()?;
    let server = app.serve(listener)?;
    let jobs = app.start_jobs();
    let control = match app.store.is_read_only() {
        // The socket is for writing, and there is nothing to write.
        true => None,
        false => Some(control::listen(&app.config.data, commands(&app), &app.wake)?),
    };
    ready();
    let (handle, wake) = (server.handle(), app.wake.clone());
    let of_apple = apple.as_ref().map(Server::handle);
    let apple = apple.map(actix_web::rt::spawn);
    actix_web::rt::spawn(async move {
        tokio::select! {
            () = told_to_stop() => {}
            () = wake.stopped() => {}
        }
        wake.stop();
        if let Some(handle) = of_apple {
            app::stop(handle).await;
        }
        app::stop(handle).await;
    });
    server.await?;
    if let Some(apple) = apple {
        apple.await.context("closing the listener for Apple devices")??;
    }
    app.wake.stop();
    jobs.finished().await;
    if let Some(control) = control {
        control.await.context("closing the control socket")?;
    }
    Ok(())
}

/// What the control socket may do with the server.
fn commands(app: &App) -> control::Execute {
    let app = app.clone();
    Arc::new(move |actor, request| {
        if matches!(request, Request::Prove { .. }) && !app.config.prove {
            let message = "this server runs no restore tests (--no-prove)".to_owned();
            return Answer::Refused { message };
        }
        if matches!(request, Request::KeepState) {
            return keep_state(&app);
        }
        admin::execute(&app.store, actor, &app.config.public_url, request, &app.clock)
    })
}

/// Keeps the console's own state now, and says how far that reaches.
fn keep_state(app: &App) -> Answer {
    let Some(keeper) = &app.keeper else {
        let message = "this server has no second store, or its database is PostgreSQL".to_owned();
        return Answer::Refused { message };
    };
    match keeper.keep(app.clock.now()) {
        Ok(Some(kept)) => {
            Answer::Done { message: format!("The second store has everything up to {}.", kept.taken_at.iso()) }
        }
        Ok(None) => {
            let now = app.clock.now();
            let state = app.store.read_blocking(move |conn| service::console_copy::console_copy(conn, now));
            let why = state.ok().and_then(|it| it.failed).map_or_else(|| "it cannot be used".to_owned(), |it| it.0);
            Answer::Refused { message: format!("the second store did not take the state: {why}") }
        }
        Err(error) => Answer::Refused { message: error.to_string() },
    }
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
