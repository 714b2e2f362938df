//! Sidekick, 2009: a restore that brought back 64 of 300 files and called itself done.
use crate::agent::{Device, agent_process, listing, order_restore, points};
use crate::support::server::TestServer;
use agent::Stop;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use domain::restore::RestoreState;
use holdfast::blob::BlobKey;
use holdfast::store;
use std::collections::BTreeSet;
use std::fs;

/// Each backup leaves one pack of files and one of folders.
const BACKUPS: usize = 50;

const LEN: usize = 64 << 10;

fn packs(server: &TestServer, repository: RepositoryId) -> BTreeSet<(String, u64)> {
    let stored = server.app.blobs.list(repository).unwrap();
    let packs = stored.into_iter().filter(|(key, _)| key.kind == ObjectKind::Data);
    packs.map(|(key, size)| (key.name.to_string(), size)).collect()
}

#[test]
fn d04_a_restore_with_one_pack_of_a_hundred_missing_fails_and_names_the_files() {
    let server = TestServer::start();
    let (lost, fresh) = (Device::new(), Device::new());
    fs::remove_dir_all(lost.docs().join("deep")).unwrap();
    let agent = lost.enroll(&server, &server.url());
    let repository = agent.enrollment().repository_id;
    let mut victim = None;
    for number in 0..BACKUPS {
        let bytes: Vec<u8> = secret::bytes::<LEN>().unwrap().to_vec();
        fs::write(lost.docs().join(format!("{number}.bin")), bytes).unwrap();
        let before = packs(&server, repository);
        agent.back_up(&Stop::default()).unwrap();
        if number == BACKUPS / 2 {
            let after = packs(&server, repository);
            victim = after.difference(&before).find(|(_, size)| *size >= LEN as u64).map(|it| it.0.clone());
        }
    }
    let all = packs(&server, repository);
    assert!(all.len() >= 100, "{} packs", all.len());
    let victim = ObjectName::parse(&victim.expect("the pack of a file")).unwrap();
    assert!(server.app.blobs.remove(&BlobKey::new(repository, ObjectKind::Data, victim)).unwrap());

    let to = fresh.enroll(&server, &server.url());
    let point = points(&server, &agent).remove(0);
    let restore = order_restore(&server, agent.enrollment().device_id, point.id, &to);
    drop(to);
    let output = agent_process(&fresh.state(), "restore").output().unwrap();

    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    let named: Vec<&str> = said.lines().filter(|it| it.starts_with("Not restored: ")).collect();
    assert_eq!(named.len(), 1, "{said}");
    let missing = format!("/{}.bin: ", BACKUPS / 2);
    assert!(named[0].contains(&missing), "{}", named[0]);
    let restore = server.read(move |conn| Ok(store::restore::find(conn, restore.id)?)).unwrap();
    assert_ne!(restore.state, RestoreState::Compared, "{}", restore.failures);
    assert!(restore.failures.contains(&missing[..missing.len() - 2]), "{}", restore.failures);

    // Whatever came back is right, and all the rest did.
    let day = &server.app.clock.now().iso()[..10];
    let back = fresh.docs().join(format!("restored-{day}")).join(lost.docs().strip_prefix("/").unwrap());
    let mut wanted = listing(&lost.docs());
    wanted.retain(|(path, ..)| *path != std::path::Path::new(&missing[1..missing.len() - 2]));
    assert_eq!(listing(&back), wanted);
}
