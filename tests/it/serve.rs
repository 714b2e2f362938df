//! How the program starts and ends, as seen by whoever runs it.
use actix_web::App;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use holdfast::error::Error;
use holdfast::store::{Conn, Database, Store};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

fn holdfast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_server_that_cannot_serve_shows_no_link() {
    let folder = tempfile::tempdir().unwrap();

    let output = holdfast()
        .args(["serve", "--listen", "127.0.0.1:0", "--tls-certificate", "/none/x.pem", "--tls-key", "/none/y.pem"])
        .arg("--data")
        .arg(folder.path())
        .output()
        .unwrap();

    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("/none/x.pem"), "{error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn a_demo_that_nobody_reads_any_more_ends_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = holdfast()
        .args(["demo", "--devices", "1", "--listen", "127.0.0.1:0"])
        .arg("--data")
        .arg(folder.path().join("demo"))
        .spawn()
        .unwrap();

    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Ctrl-C") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the demo ended before it began");
    }
    drop(out);
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();

    assert!(child.wait().unwrap().success(), "{error}");
    assert!(!error.contains("panicked"), "{error}");
}

/// Runs `holdfast admin` on a folder; whether it succeeded, and what it said.
fn admin(data: &std::path::Path, words: &[&str]) -> (bool, String) {
    let output = holdfast().arg("admin").args(words).arg("--data").arg(data).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn the_host_has_the_last_word_while_the_server_runs_and_when_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut child = holdfast().args(["serve", "--listen", "127.0.0.1:0"]).arg("--data").arg(&data).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("/set-up/") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the server ended before it began");
    }
    let mut made = (false, String::new());
    while !made.0 {
        // The link is printed a moment before the socket answers.
        made = admin(&data, &["user", "add", "ada@example.org", "--role", "owner"]);
        assert!(made.0 || made.1.contains("socket"), "{}", made.1);
    }

    for is_running in [true, false] {
        if !is_running {
            child.kill().unwrap();
            // Its socket takes connections until it is gone.
            child.wait().unwrap();
        }
        for (words, said) in [
            (&["freeze"][..], "Frozen."),
            (&["freeze"], "Frozen."),
            (&["user", "lock", "Ada@example.org"], "The account of ada@example.org is locked."),
            (&["user", "lock", "ada@example.org"], "The account of ada@example.org is locked."),
            (&["sessions", "end"], "0 sessions ended."),
            (&["sessions", "end", "ada@example.org"], "0 sessions ended."),
            (&["unfreeze"], "No longer frozen."),
            (&["user", "unlock", "ada@example.org"], "/invite/"),
        ] {
            let (is_done, text) = admin(&data, words);
            assert!(is_done && text.contains(said), "{is_running} {words:?}: {text}");
        }
        let copy = std::fs::File::open(data.join("proof.key")).unwrap();
        let mut verify = holdfast();
        verify.args(["admin", "proof-key", "verify", "-"]).arg("--data").arg(&data).stdin(copy);
        let output = verify.output().unwrap();
        assert!(output.status.success(), "{is_running}: {}", String::from_utf8_lossy(&output.stderr));
        let (is_done, text) = admin(&data, &["proof-key", "verify", data.join("proof.key").to_str().unwrap()]);
        assert!(!is_done && text.contains("the proof key itself"), "{text}");
        let (is_done, text) = admin(&data, &["founder", "add", "ada@example.org"]);
        assert!(!is_done && text.contains("once they have signed in"), "{text}");
        let (is_done, text) = admin(&data, &["user", "lock", "eve@example.org"]);
        assert!(!is_done && text.contains("there is no such user"), "{text}");
    }
    child.wait().unwrap();
}

/// The program where any account can run it, and an account that is not root's, which may read all.
fn of_nobody(folder: &std::path::Path, command: &mut Command) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let nobody = 65_534;
    std::os::unix::fs::chown(folder, Some(nobody), Some(nobody)).unwrap();
    command.uid(nobody).gid(nobody);
}

#[test]
fn a_server_may_open_what_the_system_allows_and_its_memory_is_closed_to_its_own_account() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("holdfast");
    // By another process: what this one has open for writing, one that another test begins meanwhile has too, and then
    // it cannot be run.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_holdfast")).arg(&program).status().unwrap().success());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 256; exec \"$@\"", "sh"]).arg(&program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("data"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    of_nobody(folder.path(), &mut command);
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("/set-up/") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the server ended before it began");
    }
    let of_child = format!("/proc/{}", child.id());
    let limits = std::fs::read_to_string(format!("{of_child}/limits")).unwrap();
    // What shows the memory of a process belongs to root where not even its own account may look.
    let owner = std::fs::metadata(format!("{of_child}/environ")).unwrap().uid();
    child.kill().unwrap();
    child.wait().unwrap();

    let files = limits.lines().find_map(|it| it.strip_prefix("Max open files")).unwrap();
    let files: Vec<_> = files.split_whitespace().collect();
    assert!(files[0] == files[1] && files[0] != "256", "{files:?}");
    assert_eq!(owner, 0);
}

async fn health(store: &Store) -> (u16, String) {
    let app = init_service(App::new().app_data(Data::new(store.clone())).configure(holdfast::web::routes)).await;
    let answer = call_service(&app, TestRequest::get().uri("/health").to_request()).await;
    (answer.status().as_u16(), String::from_utf8(read_body(answer).await.to_vec()).unwrap())
}

#[actix_web::test]
async fn a_database_that_is_away_is_named_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (here, away) = (folder.path().join("here"), folder.path().join("away"));
    std::fs::create_dir(&here).unwrap();
    let store = Store::open(&Database::Sqlite(here.join("x.db"))).unwrap();
    let look = |_: &mut Conn| Ok::<_, Error>(());

    std::fs::rename(&here, &away).unwrap();
    let failed = store.read(look).await;
    assert!(matches!(failed, Err(Error::DatabaseAway(_))), "{failed:?}");
    assert_eq!(health(&store).await, (503, "the database does not answer\n".to_owned()));

    std::fs::rename(&away, &here).unwrap();
    store.read(look).await.unwrap();
    assert_eq!(health(&store).await, (200, "ok\n".to_owned()));
}
