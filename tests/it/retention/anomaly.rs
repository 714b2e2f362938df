//! Something unusual in a backup: the last good point is held, people are told, and nothing ends.
use super::world::{World, has_restic};
use crate::agent::{self, Device};
use crate::support::fleet::Random;
use crate::support::people::{SINCE, person};
use crate::support::server::TestServer;
use ::agent::{Agent, Stop};
use domain::activity::Action;
use domain::retention::{Brake, HoldCause, HoldScope};
use domain::role::Role;
use domain::time::{days, hours, minutes};
use holdfast::mail::Message;
use holdfast::proof::Prover;
use holdfast::service::retention::Verdict;
use holdfast::store::hold::Hold;
use holdfast::{job, store};

#[test]
fn a_backup_that_lost_most_files_pins_the_last_good_point_and_is_told() {
    if !has_restic() {
        return;
    }
    let world = World::new();
    person(&world.server, "operator", &[Role::Operator], None, SINCE);
    let folder = world.source.path();
    for number in 0..200 {
        std::fs::write(folder.join(format!("{number}.txt")), format!("letter {number}").repeat(40)).unwrap();
    }
    world.pruner.run_once().unwrap();
    for day in 0..4 {
        std::fs::write(folder.join("diary"), format!("day {day}")).unwrap();
        world.back_up();
        world.pass(days(7));
        world.pruner.run_once().unwrap();
    }
    let device = world.device;
    let holds = || world.server.read(move |conn| Ok(store::hold::standing(conn, device)?));
    assert!(holds().is_empty(), "all is usual: {:?}", holds());
    let good = world.points().pop().unwrap().id;

    for number in 10..200 {
        std::fs::remove_file(folder.join(format!("{number}.txt"))).unwrap();
    }
    world.back_up();
    world.pass(hours(25));
    world.pruner.run_once().unwrap();
    world.pruner.run_once().unwrap();

    let held = holds();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!((held[0].cause, held[0].scope, held[0].point_id), (HoldCause::Anomaly, HoldScope::Point, Some(good)));
    assert!(held[0].reason.contains("usually it has about 201"), "{}", held[0].reason);
    let mails = world.server.mails();
    let told = mails.iter().find(|it| it.subject.contains("Something unusual")).expect("somebody is told");
    assert!(told.body.contains("11 files"), "{}", told.body);
    let entries = world.server.read(move |conn| Ok(store::activity::of_device(conn, device, 100)?));
    assert_eq!(entries.iter().filter(|it| it.action == Action::AnomalyFound).count(), 1);
    // And nothing of the device ends while it stands.
    world.pass(days(60));
    world.keep_least();
    assert!(matches!(world.plan(), Verdict::Stopped(why) if why.contains(&Brake::Anomaly)));
}

/// A device with our agent: its list of files says what has changed since the last proven backup.
struct Listed {
    server: TestServer,
    device: Device,
    agent: Agent,
    prover: Prover,
}

impl Listed {
    fn new() -> Self {
        let server = TestServer::start();
        person(&server, "operator", &[Role::Operator], None, SINCE);
        let device = Device::new();
        let agent = device.enroll(&server, &server.url());
        let prover = agent::prover(&server);
        let listed = Self { server, device, agent, prover };
        // What ended before anybody looked is no news.
        assert_eq!(listed.looks(), 0);
        listed
    }

    /// The job, which runs without the keys of what prunes.
    fn looks(&self) -> usize {
        job::anomaly::run_once(self.server.store(), self.server.app.clock.now()).unwrap().done_count
    }

    /// Backs up, and has it tested; returns how much of it was unusual.
    fn backs_up(&self) -> usize {
        self.server.app.clock.advance(hours(1));
        self.agent.back_up(&Stop::default()).unwrap();
        self.server.app.clock.advance(minutes(1));
        self.prover.run_once(None).unwrap();
        assert!(agent::points(&self.server, &self.agent)[0].proven_at.is_some());
        self.looks()
    }

    fn writes(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.device.docs().join(name), bytes).unwrap();
    }

    fn holds(&self) -> Vec<Hold> {
        let device = self.agent.enrollment().device_id;
        self.server.read(move |conn| Ok(store::hold::standing(conn, device)?))
    }

    /// How many entries say that something unusual came.
    fn entries(&self) -> usize {
        let device = self.agent.enrollment().device_id;
        let entries = self.server.read(move |conn| Ok(store::activity::of_device(conn, device, 200)?));
        entries.iter().filter(|it| it.action == Action::AnomalyFound).count()
    }

    /// What was mailed of it since the last call.
    fn mails(&self) -> Vec<Message> {
        let mails = self.server.mails().into_iter();
        mails.filter(|it| it.subject.contains("Something unusual")).collect()
    }
}

#[test]
fn a_mass_change_pins_the_last_good_point_and_what_comes_after_it_is_told_too() {
    let listed = Listed::new();
    for number in 0..20 {
        listed.writes(&format!("{number}.txt"), format!("letter {number}"));
    }
    for day in 0..2 {
        listed.writes("diary", format!("day {day}"));
        assert_eq!(listed.backs_up(), 0, "all is usual");
    }
    let good = agent::points(&listed.server, &listed.agent)[0].id;

    for number in 0..40 {
        listed.writes(&format!("deep/{number}.txt"), format!("another file {number}").repeat(60));
    }
    assert_eq!(listed.backs_up(), 1);
    assert_eq!(listed.looks(), 0, "once");

    let held = listed.holds();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!((held[0].cause, held[0].scope, held[0].point_id), (HoldCause::Anomaly, HoldScope::Point, Some(good)));
    assert!(held[0].reason.contains("40 of 61 files changed"), "{}", held[0].reason);
    let mails = listed.mails();
    assert!(mails.len() == 1 && mails[0].body.contains("40 of 61 files changed"), "{mails:?}");
    assert_eq!(listed.entries(), 1);

    // While that hold stands, most files go: the same hold, another entry, another mail.
    for number in 0..40 {
        std::fs::remove_file(listed.device.docs().join(format!("deep/{number}.txt"))).unwrap();
    }
    for number in 0..20 {
        std::fs::remove_file(listed.device.docs().join(format!("{number}.txt"))).unwrap();
    }
    assert_eq!(listed.backs_up(), 1);

    assert_eq!(listed.holds(), held, "what was good before the first stays held");
    let mails = listed.mails();
    assert!(mails.len() == 1 && mails[0].body.contains("usually it has about 61"), "{mails:?}");
    assert!(mails[0].body.contains("Something unusual was found before"), "{mails:?}");
    assert_eq!(listed.entries(), 2);
}

#[test]
fn what_suddenly_does_not_compress_any_more_pins_the_last_good_point_and_is_told() {
    const WORDS: usize = 800_000;
    let listed = Listed::new();
    let mut random = Random::new(11);
    let mut draw = || random.below(1 << 56);
    for day in 0..4 {
        // As text does: half of it is gone when it is compressed.
        listed.writes("accounts", (0..WORDS).map(|_| format!("{:014x}", draw())).collect::<String>());
        assert_eq!(listed.backs_up(), 0, "{day}: all is usual");
    }
    let good = agent::points(&listed.server, &listed.agent)[0].id;

    let encrypted: Vec<u8> = (0..2 * WORDS).flat_map(|_| draw().to_le_bytes().into_iter().take(7)).collect();
    listed.writes("accounts", encrypted);
    assert_eq!(listed.backs_up(), 1);

    let held = listed.holds();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!((held[0].cause, held[0].point_id), (HoldCause::Anomaly, Some(good)));
    assert!(held[0].reason.contains("as encrypted files do"), "{}", held[0].reason);
    let mails = listed.mails();
    assert!(mails.len() == 1 && mails[0].body.contains("as encrypted files do"), "{mails:?}");
    assert_eq!(listed.entries(), 1);
}
