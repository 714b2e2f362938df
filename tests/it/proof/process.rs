//! The process itself: what it may, and how its end is judged.
use super::craft::{Craft, runner};
use crate::support::skip;
use domain::proof::TestResult;
use holdfast::proof::child::SUB_COMMAND;
use holdfast::proof::frame::{self, FromChild};
use holdfast::proof::runner::{Ended, Runner, Watcher};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

#[test]
fn the_process_can_open_nothing_and_has_little_memory() {
    let mut craft = Craft::new(2);
    let job = craft.backup(&[("x", b"text")]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .arg(SUB_COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());

    frame::write(&mut input, &[&serde_json::to_vec(&job).unwrap()]).unwrap();
    frame::write(&mut input, &[craft.key.expose()]).unwrap();
    let first = FromChild::receive(&mut output).unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    assert!(matches!(first, FromChild::Read { .. }), "{first:?}");
    let limit = |name: &str| {
        let line = limits.lines().find(|it| it.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max open files"), ["0", "0"]);
    assert_eq!(limit("Max address space"), ["1073741824", "1073741824"]);
    assert_eq!(limit("Max file size"), ["0", "0"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    assert_eq!(limit("Max cpu time"), ["120", "125"]);
    // Each wall stands by itself: what one leaves open another would close, so that none would be missed.
    let said = |name: &str| status.lines().find_map(|it| it.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(said("Seccomp:"), "2", "only the listed system calls pass");
    if rustix::process::geteuid().is_root() {
        let user: u32 = said("Uid:").split_whitespace().next().unwrap().parse().unwrap();
        assert!((61_184..65_184).contains(&user), "a user that belongs to nobody: {user}");
    }
}

#[test]
fn under_root_each_process_is_another_user_in_no_group_of_ours() {
    let is_there = Command::new("setpriv").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !rustix::process::geteuid().is_root() && skip("root") || !is_there && skip("setpriv") {
        return;
    }
    let mut craft = Craft::new(2);
    let job = serde_json::to_vec(&craft.backup(&[("x", b"text")])).unwrap();
    let children = [(); 2].map(|()| {
        let mut child = Command::new("setpriv")
            .args(["--groups", "0,4,24", env!("CARGO_BIN_EXE_holdfast"), SUB_COMMAND])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.as_mut().unwrap();
        frame::write(input, &[&job]).unwrap();
        frame::write(input, &[craft.key.expose()]).unwrap();
        FromChild::receive(child.stdout.as_mut().unwrap()).unwrap();
        child
    });
    let said = children.map(|mut child| {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        ["Uid:", "Gid:", "Groups:"].map(|name| {
            let line = status.lines().find_map(|it| it.strip_prefix(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        })
    });

    for [users, groups, others] in &said {
        // Real, effective, saved, and that of the file system: none leads back.
        assert!(users.len() == 4 && users.iter().all(|it| *it == users[0] && it != "0"), "{said:?}");
        assert_eq!((groups, others), (users, &Vec::new()), "{said:?}");
    }
    assert_ne!(said[0], said[1], "neither may touch the other");
}

/// Has another process write a program: while this one did, a process that another test begins meanwhile would keep it
/// open, and nothing that is open for writing can be run.
fn write_program(path: &Path, text: &str) {
    let mut child = Command::new("sh");
    child.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn run_script(script: &str) -> TestResult {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("child");
    write_program(&program, &format!("#!/bin/sh\n{script}\n"));
    let mut craft = Craft::new(2);
    let job = craft.backup(&[("x", b"text")]);
    let stored = craft.stored();
    let runner = Runner { silence: Duration::from_secs(5), ..Runner::of(program) };
    match runner.run(&stored.served, &stored.key, &job, &()) {
        Ended::Reported(report, _) => report.result,
        Ended::Stopped => panic!("nobody stopped it"),
    }
}

#[test]
fn a_process_that_crashes_hangs_or_babbles_is_judged() {
    for (script, result) in [
        ("kill -ABRT $$", TestResult::Failed),
        ("kill -SEGV $$", TestResult::Failed),
        ("kill -XCPU $$", TestResult::Failed),
        ("exit 101", TestResult::Failed),
        ("exec sleep 600", TestResult::Failed),
        ("head -c 100000 /dev/zero; exit 0", TestResult::Failed),
        ("head -c 100000 /dev/urandom; exec sleep 600", TestResult::Failed),
        // Somebody else ended it, or it never ran: that says nothing about the backup.
        ("kill -KILL $$", TestResult::Unproven),
        ("kill -TERM $$", TestResult::Unproven),
        ("kill -INT $$", TestResult::Unproven),
        // What a terminal sends to the server's group does not reach it.
        ("[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] || kill -ABRT $$; exit 3", TestResult::Unproven),
        ("exit 3", TestResult::Unproven),
    ] {
        assert_eq!(run_script(script), result, "{script}");
    }
    let mut craft = Craft::new(2);
    let job = craft.backup(&[("x", b"text")]);
    let stored = craft.stored();
    let missing = Runner::of("/nonexistent/holdfast".into());
    let Ended::Reported(report, _) = missing.run(&stored.served, &stored.key, &job, &()) else { panic!() };
    assert_eq!(report.result, TestResult::Unproven);
}

#[test]
fn a_server_that_is_slow_itself_fails_no_backup() {
    /// Keeps the child waiting once, for more turns of the watch, half a second each, than a child may be silent.
    #[derive(Default)]
    struct Slow(Mutex<u32>, Condvar);
    impl Watcher for Slow {
        fn alive(&self) {
            let turns = self.0.lock().unwrap();
            drop(self.1.wait_while(turns, |turns| *turns < 24).unwrap());
        }
        fn stop(&self) -> bool {
            *self.0.lock().unwrap() += 1;
            self.1.notify_all();
            false
        }
    }
    let mut craft = Craft::new(2);
    let job = craft.backup(&[("x", b"text")]);
    let stored = craft.stored();
    let runner = Runner { silence: Duration::from_secs(10), ..runner() };
    let Ended::Reported(report, _) = runner.run(&stored.served, &stored.key, &job, &Slow::default()) else { panic!() };
    assert_eq!(report.result, TestResult::Passed, "{report:?}");
}

#[test]
fn a_test_is_stopped_with_the_server() {
    struct Stopping;
    impl Watcher for Stopping {
        fn stop(&self) -> bool {
            true
        }
    }
    let mut craft = Craft::new(2);
    let job = craft.backup(&[("x", b"text")]);
    let stored = craft.stored();
    assert_eq!(runner().run(&stored.served, &stored.key, &job, &Stopping), Ended::Stopped);
}

/// Set for the process that confines itself and then tries to get out.
const CONFINED: &str = "HOLDFAST_TEST_CONFINED";

#[test]
fn what_reads_a_backup_can_neither_open_nor_connect_nor_trace_nor_read_its_parent() {
    if let Ok(target) = std::env::var(CONFINED) {
        let (port, secret) = target.split_once(' ').unwrap();
        std::process::exit(tries_to_get_out(port.parse().unwrap(), secret.parse().unwrap()));
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = Box::new(7_u64);
    let target = format!("{} {}", listener.local_addr().unwrap().port(), std::ptr::from_ref(&*secret) as usize);
    let name = "proof::process::what_reads_a_backup_can_neither_open_nor_connect_nor_trace_nor_read_its_parent";

    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1"])
        .env(CONFINED, target)
        .stdout(Stdio::null())
        .status()
        .unwrap();

    assert_eq!(status.code(), Some(ALL_TRIED), "a bit for each thing that it could do: {status:?}");
}

/// What is given where nothing could be done.
const ALL_TRIED: i32 = 0;

fn tries_to_get_out(port: u16, secret: usize) -> i32 {
    let parent = nix::unistd::Pid::from_raw(i32::try_from(std::os::unix::process::parent_id()).unwrap());
    let remote = [nix::sys::uio::RemoteIoVec { base: secret, len: 8 }];
    holdfast::proof::confine::all().unwrap();

    let mut read = [0; 8];
    let could = [
        fs::File::open("/etc/hostname").is_ok(),
        fs::File::open(format!("/proc/{parent}/mem")).is_ok() || fs::read_dir("/").is_ok(),
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(),
        std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        nix::sys::ptrace::attach(parent).is_ok(),
        nix::sys::uio::process_vm_readv(parent, &mut [std::io::IoSliceMut::new(&mut read)], &remote).is_ok(),
        Command::new("/bin/true").spawn().is_ok(),
        // Only asks whether it may be sent a signal.
        nix::sys::signal::kill(parent, None).is_ok(),
    ];
    could.iter().enumerate().filter(|(_, could)| **could).fold(ALL_TRIED, |bits, (at, _)| bits | 1 << at)
}
