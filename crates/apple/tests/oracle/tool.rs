//! Other programs, and files for them.
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use holdfast_apple::certificate::{Authority, Certificate, Leaf, PrivateKey, Validity};
use jiff::Timestamp;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Other programs look at their own clock: from 2020 to 2049.
pub const LONG: Validity =
    Validity { from: Timestamp::constant(1_577_836_800, 0), until: Timestamp::constant(2_493_072_000, 0) };
/// A time in between.
pub const NOW: Timestamp = Timestamp::constant(1_795_356_371, 0);

/// Whether a program is absent, or cannot do what its help would name. Says so; under CI nothing may be absent.
pub fn is_absent(program: &str, argument: &str, names: &str, packages: &str) -> bool {
    let said = Command::new(program).arg(argument).output();
    if said.is_ok_and(|it| String::from_utf8_lossy(&[it.stdout, it.stderr].concat()).contains(names)) {
        return false;
    }
    assert!(std::env::var_os("CI").is_none(), "{program} is needed under CI (Debian: {packages})");
    // Not by `println!`: the test runner shows that of failed tests only.
    let line = format!("skipped: {program} is not installed (Debian: {packages})\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    true
}

pub fn no_openssl() -> bool {
    is_absent("openssl", "version", "OpenSSL 3", "openssl")
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

    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    pub fn certificate(&self, name: &str, certificate: &Certificate) {
        self.write(name, pem("CERTIFICATE", certificate.der()).as_bytes());
    }

    pub fn key(&self, name: &str, key: &PrivateKey) {
        self.write(name, pem("PRIVATE KEY", &key.to_pkcs8()).as_bytes());
    }

    /// Runs a command line; `words` are split at spaces.
    pub fn run(&self, words: &str) -> Said {
        self.run_with(words.split(' '))
    }

    pub fn run_with(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Said {
        let output = Command::new("timeout").arg("60").args(words).current_dir(&self.0).output().unwrap();
        Said {
            is_success: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The first certificate in PEM.
pub fn from_pem(text: &[u8]) -> Certificate {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let inside = text.split("-----BEGIN CERTIFICATE-----").nth(1).unwrap_or_else(|| panic!("no certificate: {text}"));
    let inside = inside.split("-----END").next().unwrap();
    let der = BASE64_STANDARD.decode(inside.split_whitespace().collect::<String>()).unwrap();
    Certificate::parse(&der).unwrap()
}

/// An authority, and a device with a certificate of it.
pub struct World {
    pub folder: Folder,
    pub authority: Authority,
}

impl World {
    pub fn new() -> Self {
        let authority = Authority::create("Devices of Example", LONG).unwrap();
        let folder = Folder::new();
        folder.certificate("root.pem", authority.certificate());
        Self { folder, authority }
    }

    /// The certificate and the key are left in the folder under that name.
    pub fn device(&self, name: &str, key: &PrivateKey) -> Certificate {
        let leaf = Leaf {
            public_key: key.public(),
            common_name: name,
            organization: Some("Example"),
            names: &[],
            validity: LONG,
        };
        let certificate = self.authority.issue_leaf(&leaf).unwrap();
        self.folder.certificate(&format!("{name}.pem"), &certificate);
        self.folder.key(&format!("{name}.key"), key);
        certificate
    }
}
