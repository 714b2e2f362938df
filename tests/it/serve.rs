//! How the program starts and ends, as whoever runs it sees it.
use std::io::{BufRead, BufReader, Read};
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
