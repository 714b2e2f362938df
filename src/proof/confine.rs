//! What the process that reads hostile backups gives up before it reads a byte.
//!
//! Three walls, so that a hole in one is not a hole in all: limits that leave no file, socket or process to be
//! made; a separate user if it starts as root, who owns none of our files; and, where the kernel has them,
//! Landlock, which closes the file system, and seccomp, which allows only the system calls needed for reading
//! two pipes and computing.
use anyhow::Context;
use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Resource, Rlimit, Uid, getpid, getuid, set_dumpable_behavior, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use std::collections::BTreeMap;

/// Address space: with the program itself and its stack, far above what a large backup needs.
const MEMORY: u64 = 1 << 30;
/// At most this, whatever a job says.
pub const MOST_CPU_SECONDS: u64 = 6 * 3600;
/// Users that belong to nobody, one for each process, so that no two children share one
/// (systemd's range of dynamic users, <https://systemd.io/UIDS-GIDS/>).
const FIRST_USER: u32 = 61_184;
const USERS: u32 = 4_000;

/// Gives up everything; call this before anything else of the program has run: no thread, no open file.
///
/// # Errors
/// When the system refuses a wall that it supports. Then nothing may be read.
pub fn all() -> anyhow::Result<()> {
    limits().context("setting limits")?;
    become_nobody().context("switching to a separate user")?;
    // No other process of this user may look into the one that holds a key.
    close_memory()?;
    close_files()?;
    // Last: it allows none of the calls that the other walls need.
    allow_few_calls()
}

/// Closes this process's memory to others of its user; for the one that holds keys and starts the tests.
///
/// # Errors
/// When the system refuses.
pub fn close_memory() -> anyhow::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("closing this process's memory")
}

/// Limits processor time to this many seconds.
///
/// # Errors
/// When the system refuses.
pub fn cpu(seconds: u64) -> rustix::io::Result<()> {
    set(Resource::Cpu, seconds, seconds + 5)
}

fn limits() -> rustix::io::Result<()> {
    set(Resource::As, MEMORY, MEMORY)?;
    set(Resource::Core, 0, 0)?;
    set(Resource::Fsize, 0, 0)?;
    set(Resource::Nproc, 0, 0)?;
    cpu(MOST_CPU_SECONDS)
}

fn set(resource: Resource, current: u64, maximum: u64) -> rustix::io::Result<()> {
    setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) })
}

fn become_nobody() -> rustix::io::Result<()> {
    if !getuid().is_root() {
        return Ok(());
    }
    let id = FIRST_USER + u32::try_from(getpid().as_raw_nonzero().get()).unwrap_or(0) % USERS;
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    // The process has one thread, so its own are all.
    let changed = rustix::thread::set_thread_groups(&[])
        .and_then(|()| rustix::thread::set_thread_res_gid(group, group, group))
        // The user last: without root, the groups could not be given up any more.
        .and_then(|()| rustix::thread::set_thread_res_uid(user, user, user));
    match changed {
        // A container's root may be unable to change its user, or know no other: the other walls stand.
        Err(Errno::PERM | Errno::INVAL) => Ok(()),
        changed => changed,
    }
}

/// Landlock without a rule: no file can be opened, made, moved or run. A kernel without it has the other walls.
fn close_files() -> anyhow::Result<()> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .context("closing the file system")?;
    // The pipes are open; nothing else can be, from here on.
    set(Resource::Nofile, 0, 0).context("setting limits")
}

/// What is needed for reading two pipes, computing, allocating and ending; every other system call fails with
/// EPERM.
const CALLS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_prlimit64,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

fn allow_few_calls() -> anyhow::Result<()> {
    // A processor that the filter does not know: the other walls stand.
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(()) };
    let rules: BTreeMap<i64, Vec<_>> = CALLS.iter().map(|it| (*it, Vec::new())).collect();
    let denied = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, arch).context("writing the list of calls")?;
    let program = BpfProgram::try_from(filter).context("writing the list of calls")?;
    match apply_filter(&program) {
        // A kernel built without it.
        Err(seccompiler::Error::Prctl(error)) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        applied => applied.context("closing the system calls"),
    }
}
