//! Other programs, and files for them.
use super::skip;
use apple::certificate::Certificate;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Whether a program is absent, or its help does not name what is needed.
pub fn is_absent(program: &str, argument: &str, names: &str) -> bool {
    let said = Command::new(program).arg(argument).output();
    let knows = said.is_ok_and(|it| String::from_utf8_lossy(&[it.stdout, it.stderr].concat()).contains(names));
    !knows && skip(program)
}

/// What a program said, and whether it succeeded. None runs longer than a minute.
pub struct Said {
    pub is_success: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Said {
    /// What it printed, if it succeeded.
    pub fn well(self) -> Vec<u8> {
        assert!(self.is_success, "{}{}", self.stderr, String::from_utf8_lossy(&self.stdout));
        self.stdout
    }

    pub fn text(self) -> String {
        String::from_utf8(self.well()).unwrap()
    }
}

/// A folder to run programs in.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    /// The first certificate of a file in PEM.
    pub fn certificate(&self, name: &str) -> Certificate {
        let text = String::from_utf8(self.read(name)).unwrap();
        let inside = text.split("-----BEGIN CERTIFICATE-----").nth(1).expect("a certificate");
        let inside = inside.split("-----END").next().unwrap().split_whitespace().collect::<String>();
        Certificate::parse(&BASE64_STANDARD.decode(inside).unwrap()).unwrap()
    }

    /// Runs a command line; `words` are split at spaces.
    pub fn run(&self, words: &str) -> Said {
        self.run_with(words.split_whitespace())
    }

    pub fn run_with(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Said {
        let mut command = Command::new("timeout");
        // What Go’s programs trust, if a test puts it there.
        command.arg("60").args(words).current_dir(&self.0).env("SSL_CERT_FILE", self.path("trusted.pem"));
        let output = command.output().unwrap();
        Said {
            is_success: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A certificate's bytes as files have them.
pub fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
