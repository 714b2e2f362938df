//! The control socket: while the server runs, the command line's writes go
//! through it, so that there is one writer.
//!
//! One JSON line asks, one JSON line answers, then the connection ends. The
//! socket is in the data folder with mode 0600; the server also asks the
//! kernel who is at the other end and answers only itself and root.
use crate::service::copy_proof::Ended;
use crate::wake::Wake;
use anyhow::{Context, anyhow};
use domain::activity::{Actor, ActorKind, Via};
use domain::console_copy::HolderKey;
use domain::id::{DeviceId, RestoreTestId};
use domain::role::Role;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// The longest line.
const MAX_LINE: u64 = 64 << 10;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// A write from the server's own machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum HostAct {
    /// Closes an account, even the only owner's.
    LockUser {
        email: String,
    },
    UnlockUser {
        email: String,
    },
    /// Of one person, or of everyone.
    EndSessions {
        email: Option<String>,
    },
    Freeze,
    Unfreeze,
    AddFounder {
        email: String,
    },
    RemoveFounder {
        email: String,
    },
    /// Lets another Holdfast fetch what is copied.
    MakePuller {
        name: String,
    },
    RevokePuller {
        name: String,
    },
    /// Takes the token file of Apple's device-enrolment service, in base64.
    SetAppleToken {
        file: String,
    },
    /// Gives devices to a team, with which they enroll by themselves.
    GiveAppleDevices {
        serials: Vec<String>,
        team: Option<String>,
    },
}

/// What is done with the keys that open backups, on the server's own machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyAct {
    /// A recovery key was made; its private half stays with whoever asks.
    RecoveryKeyMade {
        public: String,
        /// The word of whoever has the proof key.
        voucher: String,
        /// What gives the copies of the console's own state back to whoever has the private half.
        state: HolderKey,
    },
    /// Shares were typed that give this key.
    RecoveryKeyConfirmed {
        public: String,
    },
    RetireRecoveryKey {
        name: String,
    },
    /// Of one team, or all.
    RotateTeamKeys {
        team: Option<String>,
    },
    /// The master keys of a device's repositories are about to be shown.
    Unseal {
        device: DeviceId,
        reason: String,
    },
    /// A restore test read the second store alone, with a key from shares.
    CopyTested {
        ended: Box<Ended>,
    },
    /// A copy of the proof key was read; only its public half is passed on.
    ProofKeyCopy {
        public: String,
    },
}

/// A write the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    AddUser {
        email: String,
        name: String,
        roles: Vec<Role>,
    },
    SetRoles {
        email: String,
        roles: Vec<Role>,
    },
    DisableUser {
        email: String,
    },
    MakeToken {
        email: String,
        name: String,
        days: u32,
    },
    RevokeToken {
        id: String,
    },
    /// What only the server's own machine decides.
    Host {
        act: HostAct,
    },
    Key {
        act: KeyAct,
    },
    /// A link for creating the owner's account, while there is none.
    SetupLink,
    /// Keep the console's own state on the second store now.
    KeepState,
    /// A restore test of a device's newest backup.
    Prove {
        device: DeviceId,
    },
}

/// The result of a [`Request`]. A secret is in here once, and stored only as a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Done {
        message: String,
    },
    Link {
        message: String,
        url: String,
        expires_at: String,
    },
    Token {
        id: String,
        token: String,
        expires_at: String,
    },
    /// Of another Holdfast; it lasts until it is revoked.
    PullToken {
        token: String,
    },
    Test {
        id: RestoreTestId,
    },
    Refused {
        message: String,
    },
}

/// Carries out what the socket is asked for. Blocks.
pub type Execute = Arc<dyn Fn(&Actor, Request) -> Answer + Send + Sync>;

/// Who acts on the command line: a user of the operating system.
pub fn actor(uid: u32) -> Actor {
    Actor {
        kind: ActorKind::System,
        id: None,
        name: format!("command line (uid {uid})"),
        via: Via::CommandLine,
        address: String::new(),
    }
}

/// Listens until the server stops. The caller holds the folder's lock, so an existing socket is left over.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(data: &Path, execute: Execute, wake: &Wake) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let place = Place::of(data)?;
    let path = data.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing the leftover socket {}", path.display()));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(&place.path).with_context(|| format!("listening on the socket {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("protecting the socket {}", path.display()))?;
    let wake = wake.clone();
    Ok(tokio::spawn(async move {
        tokio::select! {
            () = accept(listener, execute) => {}
            () = wake.stopped() => {}
        }
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(%error, path = %path.display(), "the control socket was not removed");
        }
    }))
}

async fn accept(listener: UnixListener, execute: Execute) {
    loop {
        match listener.accept().await {
            // One at a time: people type slower than this, and it bounds the memory.
            Ok((stream, _)) => match tokio::time::timeout(PATIENCE, converse(stream, &execute)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(error = format!("{error:#}"), "a control request failed"),
                Err(_) => tracing::warn!("a control request took too long"),
            },
            Err(error) => {
                tracing::warn!(%error, "the control socket does not accept connections");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, execute: &Execute) -> anyhow::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(reader).take(MAX_LINE).read_line(&mut line).await?;
    if line.is_empty() {
        // Somebody only checking whether the server is there.
        return Ok(());
    }
    let answer = if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        Answer::Refused { message: "only root and the server's own user may do this".to_owned() }
    } else {
        match serde_json::from_str(&line) {
            Ok(request) => {
                let execute = Arc::clone(execute);
                tokio::task::spawn_blocking(move || execute(&actor(uid), request)).await?
            }
            Err(error) => Answer::Refused { message: format!("the request is not understood: {error}") },
        }
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    writer.write_all(text.as_bytes()).await?;
    writer.shutdown().await?;
    Ok(())
}

/// Asks the running server.
///
/// # Errors
/// When it does not answer.
pub fn ask(data: &Path, request: &Request) -> anyhow::Result<Answer> {
    let place = Place::of(data)?;
    let stream = BlockingStream::connect(&place.path).with_context(|| {
        format!(
            "{} holds {} but does not answer on its socket: is it starting or stopping? Try again",
            super::lock::holder(data),
            data.display()
        )
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut text = serde_json::to_string(request)?;
    text.push('\n');
    let cuts = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
    let line = exchange(stream, &text).map_err(|error| {
        let is_cut = cuts.contains(&error.kind());
        if is_cut { anyhow!(CUT_OFF) } else { anyhow::Error::new(error).context("waiting for the server's answer") }
    })?;
    serde_json::from_str(&line).map_err(|error| anyhow!("the server's answer is not understood: {error}"))
}

/// It may have been done: only a second try tells.
const CUT_OFF: &str = "the server stopped before it answered, so this may or may not be done: run the command again";

fn exchange(mut stream: BlockingStream, question: &str) -> std::io::Result<String> {
    stream.write_all(question.as_bytes())?;
    let mut answer = String::new();
    match BufReader::new(stream.take(MAX_LINE)).read_line(&mut answer)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(answer),
    }
}

/// Whether a server listens.
pub fn is_answered(data: &Path) -> bool {
    Place::of(data).is_ok_and(|place| BlockingStream::connect(&place.path).is_ok())
}

const SOCKET: &str = "control.sock";

/// A socket path the kernel accepts: at most 108 bytes, so a long folder is named through an open descriptor
/// instead.
struct Place {
    path: PathBuf,
    _folder: Option<OwnedFd>,
}

impl Place {
    fn of(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(SOCKET);
        if path.as_os_str().len() < 100 {
            return Ok(Self { path, _folder: None });
        }
        let folder = rustix::fs::open(
            data,
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .with_context(|| format!("opening {}", data.display()))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()));
        Ok(Self { path, _folder: Some(folder) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(actor: &Actor, request: Request) -> Answer {
        Answer::Done { message: format!("{} {request:?}", actor.name) }
    }

    #[actix_web::test]
    async fn a_request_is_answered_through_the_socket_even_in_a_long_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("x".repeat(120));
        std::fs::create_dir(&data).unwrap();
        let wake = Wake::new();
        let listening = listen(&data, Arc::new(echo), &wake).unwrap();
        let mode = std::fs::metadata(data.join(SOCKET)).unwrap().permissions().mode();

        let asked = data.clone();
        let (is_there, answer) = tokio::task::spawn_blocking(move || {
            // A silent client must not keep others from being answered.
            (is_answered(&asked), ask(&asked, &Request::SetupLink).unwrap())
        })
        .await
        .unwrap();
        wake.stop();
        listening.await.unwrap();

        assert_eq!((mode & 0o777, is_there, is_answered(&data)), (0o600, true, false));
        let Answer::Done { message } = answer else { unreachable!("{answer:?}") };
        assert!(message.starts_with("command line (uid "), "{message}");
        assert!(message.ends_with(" SetupLink"), "{message}");
        assert!(!data.join(SOCKET).exists());
    }

    #[test]
    fn a_server_that_dies_before_it_answers_leaves_the_act_open() {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let dying = std::thread::spawn(move || {
            // One hangs up without reading, which resets the connection; the other hangs up after reading.
            drop(listener.accept().unwrap());
            let (stream, _) = listener.accept().unwrap();
            BufReader::new(stream).read_line(&mut String::new()).unwrap();
        });

        for _ in 0..2 {
            let error = ask(folder.path(), &Request::SetupLink).unwrap_err();
            assert!(error.to_string().contains("may or may not be done"), "{error:#}");
        }
        dying.join().unwrap();
    }

    #[test]
    fn an_unknown_request_or_field_is_refused() {
        assert!(serde_json::from_str::<Request>(r#"{"ask":"wipe_all"}"#).is_err());
        assert!(serde_json::from_str::<Request>(r#"{"ask":"disable_user","email":"a","force":true}"#).is_err());
    }
}
