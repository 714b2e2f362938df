//! The server being measured, and how figures are printed.
use crate::app::App;
use actix_web::dev::Server;
use anyhow::Context;
use std::io::Write;
use std::net::SocketAddr;

/// Prints a line at once.
///
/// # Errors
/// When nobody reads it any more.
pub fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Starts the server on its own thread; the second value stops it.
///
/// # Errors
/// When it cannot start.
pub fn serve(app: &App) -> anyhow::Result<(SocketAddr, impl FnOnce())> {
    let listener = app.listener()?;
    let address = listener.local_addr()?;
    let serving = app.clone();
    Ok((address, run(move || serving.serve(listener))?))
}

/// Runs a server on its own thread; what is returned stops it.
///
/// # Errors
/// When it cannot start.
pub fn run(start: impl FnOnce() -> anyhow::Result<Server> + Send + 'static) -> anyhow::Result<impl FnOnce()> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || -> anyhow::Result<()> {
        actix_web::rt::System::new().block_on(async move {
            let server = start()?;
            sender.send(server.handle()).context("announcing that the server is running")?;
            Ok(server.await?)
        })
    });
    let handle = receiver.recv().context("starting the server")?;
    let stop = move || {
        drop(handle.stop(true));
        if !matches!(thread.join(), Ok(Ok(()))) {
            tracing::error!("the server ended badly");
        }
    };
    Ok(stop)
}
