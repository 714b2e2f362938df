//! `holdfast demo`: everything on one machine, to look at and try.
use crate::app::App;
use crate::cli::output::try_print;
use crate::config::{Config, Options};
use crate::demo::Demo;
use crate::demo::apple::PushService;
use anyhow::{Context, bail};
use clock::Clock;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

/// The demo's options.
#[derive(Debug, clap::Args)]
pub struct DemoOptions {
    /// Keep the demo's database, backups and folders here [default: a folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:8080, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// How many devices there are; at least those of the scenario
    #[arg(long, value_name = "N", default_value_t = 10)]
    devices: usize,
    /// Without the simulated iPhones and Mac
    #[arg(long)]
    no_apple: bool,
    /// Keep the folder when the demo ends
    #[arg(long)]
    keep: bool,
}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// When the folder is in use, or the server cannot start.
pub fn run(options: &DemoOptions) -> anyhow::Result<ExitCode> {
    let folder = Folder::make(options)?;
    let listener = listen(options.listen)?;
    let address = listener.local_addr()?;
    let push = if options.no_apple { None } else { Some(PushService::prepare(&folder.path)?) };
    let config = Config::new(Options {
        data: Some(folder.path.clone()),
        listen: Some(address),
        public_url: Some(format!("http://{address}")),
        ..push.as_ref().map(apple).transpose()?.unwrap_or_default()
    })?;
    let _lock = super::serve::take(&folder.path)?;
    let began = Instant::now();
    let app = App::open(config, Clock::System)?;
    let demo = Arc::new(Demo::prepare(app.clone(), options.devices, push)?);
    if welcome(&app, &demo, &folder).is_err() {
        return Ok(ExitCode::SUCCESS);
    }
    let telling = Arc::new(OnceLock::new());
    let thread = Arc::clone(&telling);
    let wake = app.wake.clone();
    let served = actix_web::rt::System::new().block_on(super::serve::serve(app, listener, move || {
        // Set once: the server becomes ready once.
        let _ = thread.set(tell(demo, began));
    }));
    wake.stop();
    let told = Arc::into_inner(telling).and_then(OnceLock::into_inner).map(JoinHandle::join);
    served?;
    match told {
        Some(Ok(told)) => told.context("the demo could not continue")?,
        Some(Err(_)) => bail!("the demo panicked"),
        None => {}
    }
    // Whoever ended it by closing the pipe does not read this either.
    let _ = say(began, "stopped");
    Ok(ExitCode::SUCCESS)
}

fn tell(demo: Arc<Demo>, began: Instant) -> JoinHandle<anyhow::Result<()>> {
    std::thread::spawn(move || {
        let is_unread = AtomicBool::new(false);
        let told = demo.run(&|line| {
            // Nobody reads any more, as with `head`: a demo needs somebody who does.
            if say(began, &line).is_err() {
                is_unread.store(true, Ordering::Relaxed);
                demo.end();
            }
        });
        demo.end();
        // What a server left undone because it was told to stop is not an error.
        if is_unread.into_inner() { Ok(()) } else { told }
    })
}

/// A listener for the simulated Apple devices. They take its address for what it is said to be, and speak to it on loopback.
fn apple(push: &PushService) -> anyhow::Result<Options> {
    let free = TcpListener::bind("127.0.0.1:0").context("finding a free port for Apple devices")?.local_addr()?;
    Ok(Options {
        apple_listen: Some(free),
        apple_url: Some(format!("https://{free}")),
        apple_topic: Some("com.apple.mgmt.External.demo".to_owned()),
        apple_push_certificate: Some(push.certificate.clone()),
        apple_push_root: Some(push.root.clone()),
        apple_push_url: Some(push.url.clone()),
        ..Options::default()
    })
}

fn listen(wanted: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = wanted {
        return TcpListener::bind(address).with_context(|| format!("listening on {address}"));
    }
    TcpListener::bind("127.0.0.1:8080").or_else(|_| TcpListener::bind("127.0.0.1:0")).context("finding a free port")
}

/// Where the demo lives; removed at the end unless it is to be kept.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn make(options: &DemoOptions) -> anyhow::Result<Self> {
        let path = match &options.data {
            Some(path) => path.clone(),
            None => std::env::temp_dir().join(format!("holdfast-demo-{}", std::process::id())),
        };
        if path.read_dir().is_ok_and(|mut it| it.next().is_some()) {
            bail!("{} is not empty; the demo starts in an empty folder", path.display());
        }
        crate::app::make_private_folder(&path)?;
        Ok(Self { path, keep: options.keep || options.data.is_some() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, folder = %self.path.display(), "the demo's folder was not removed");
        }
    }
}

fn welcome(app: &App, demo: &Demo, folder: &Folder) -> io::Result<()> {
    let mut text = format!("Holdfast demo at {}\n\n", app.config.public_url);
    for account in demo.accounts() {
        text += &format!("  {:<9} {:<24} password {}\n", account.role, account.email, account.password);
    }
    let fate = if folder.keep { "" } else { " (removed at the end)" };
    text += &format!("\nFolder: {}{fate}\nCtrl-C ends the demo.\n\n", display(&folder.path));
    try_print(&text)
}

fn display(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn say(began: Instant, line: &str) -> io::Result<()> {
    try_print(&format!("{:>6.1} s  {line}\n", began.elapsed().as_secs_f32()))
}
