//! Everything before the disaster: a server with devices and a second store, and what else goes wrong there.
use super::device::{Device, Manifest};
use super::machine::{Machine, Serving};
use super::second::{SecondPlace, rot};
use super::thief::Thief;
use super::{Plan, Variant, poison, world};
use crate::blob::{self, BlobKey, BlobStore};
use crate::proof::escrow;
use crate::store::{self, Database, Store};
use anyhow::{Context, Result, ensure};
use domain::by::By;
use domain::proof::TestResult;
use repository::MasterKey;
use secret::recovery::{RecoveryKey, Share};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long anything may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Everything before the disaster, and what is known of it afterwards.
pub(super) struct Before {
    pub(super) machine: Machine,
    pub(super) serving: Option<Serving>,
    pub(super) by: By,
    pub(super) shares: Vec<String>,
    pub(super) devices: Vec<Device>,
    pub(super) held: BTreeMap<String, Manifest>,
    pub(super) second: SecondPlace,
}

impl Before {
    pub(super) fn build(plan: &Plan, say: &dyn Fn(String)) -> Result<Self> {
        if plan.variant == Variant::DeletedCopy {
            Thief::of(&plan.second)?.lock_bucket()?;
        }
        let machine = Machine::new(plan.folder.join("first-console"), plan.second.clone())?;
        fs::create_dir_all(&machine.data)?;
        let store = world::open(&machine.database())?;
        let by = world::people(&store)?;
        let names: Vec<String> = (1..=plan.devices).map(|it| format!("laptop-{it:02}")).collect();
        let tokens = names.iter().map(|it| world::token(&store, &by, it)).collect::<Result<Vec<_>>>()?;
        drop(store);
        let serving = Some(machine.serve()?);
        let made = machine.must(&["recovery-key", "make", "--json"], "")?;
        let Made { shares } = serde_json::from_str(&made).context("reading the shares")?;
        machine.must(&["recovery-key", "confirm"], &some(&shares, 3))?;
        let home = plan.folder.join("devices");
        let mut devices = Vec::new();
        for (name, token) in names.iter().zip(tokens) {
            devices.push(Device::enroll(&home, name, plan.holdings, &machine.url, token)?);
        }
        for device in &devices {
            device.back_up()?;
        }
        let held = manifests(&devices)?;
        let second = plan.second.clone();
        say(format!(
            "{} devices with {} MiB each are enrolled and backed up",
            devices.len(),
            plan.holdings.bytes >> 20
        ));
        let before = Self { machine, serving, by, shares, devices, held, second };
        before.wait_for_copies()?;
        before.machine.must(&["dr", "keep"], "")?;
        before.drill(&plan.folder, say)?;
        Ok(before)
    }

    /// Rehearses the loss, with what will be left after it: everything comes back.
    fn drill(&self, folder: &Path, say: &dyn Fn(String)) -> Result<()> {
        let (is_good, said) = self.rehearse(folder)?;
        ensure!(is_good, "the drill says: {said}");
        let drill: Drill = serde_json::from_str(&said).context("reading what the drill found")?;
        let passed = drill.tests.iter().filter(|it| it.result == TestResult::Passed.as_str()).count();
        ensure!(passed == self.devices.len(), "the drill tested only {passed} devices: {said}");
        say(format!("a drill restored and tested all of them in {:.1} s", drill.seconds));
        Ok(())
    }

    /// Whether a drill goes well, and what it says.
    fn rehearse(&self, folder: &Path) -> Result<(bool, String)> {
        let scratch = folder.join("scratch");
        fs::create_dir_all(&scratch)?;
        let place = scratch.to_str().context("the folder's name is text")?;
        let rehearsal = self.machine.successor(folder.join("rehearsal"));
        let done = rehearsal.run(&["dr", "drill", "--json", "--scratch", place], &some(&self.shares, 3))?;
        ensure!(fs::read_dir(&scratch)?.next().is_none(), "the drill left something behind");
        Ok(done)
    }

    fn store(&self) -> Result<Store> {
        Store::open_read_only(&Database::Sqlite(self.machine.database()))
    }

    /// Waits until the second store has everything.
    fn wait_for_copies(&self) -> Result<()> {
        let store = self.store()?;
        let until = Instant::now() + PATIENCE;
        while store.read_blocking(store::uncopied::in_all)?.count > 0 {
            ensure!(Instant::now() < until, "the second store does not get everything");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until the second store has an escrow record of each repository.
    fn wait_for_records(&self) -> Result<()> {
        let store = self.store()?;
        let until = Instant::now() + PATIENCE;
        while usize::try_from(store.read_blocking(store::escrow::kept_count)?)? < self.devices.len() {
            ensure!(Instant::now() < until, "the second store does not get every escrow record");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    pub(super) fn first(&self) -> Result<&Device> {
        self.devices.first().context("there is a device")
    }

    pub(super) fn go_wrong(&mut self, plan: &Plan, say: &dyn Fn(String)) -> Result<()> {
        match plan.variant {
            Variant::Plain | Variant::DeletedCopy => {}
            Variant::OlderState => {
                for device in &self.devices {
                    device.work_on()?;
                    device.back_up()?;
                }
                self.held = manifests(&self.devices)?;
                self.wait_for_copies()?;
                say("every device was backed up once more, after the console’s state was last kept".to_owned());
            }
            Variant::PoisonedIndex => {
                let key = self.master_key()?;
                poison::poison(&self.machine.url, self.first()?, &*self.machine.blobs()?, &key)?;
                self.wait_for_copies()?;
                self.machine.must(&["dr", "keep"], "")?;
                say("the first device uploaded a poisoned index and a snapshot of the year 2099".to_owned());
            }
            Variant::NoState => {
                self.wait_for_records()?;
                say("the second store has the escrow record of each device".to_owned());
            }
            Variant::RottenPack => {
                self.heal_both(&plan.folder, say)?;
                let pack = rot(&*self.second.blobs()?, self.first()?.repository, 0)?;
                say(format!("one byte of {pack} on the second store is another one, and nobody has read it since"));
            }
        }
        Ok(())
    }

    /// One pack of a device is rotten on each store. A restore test finds the one, a drill the other, and each store is
    /// repaired from the other: the second by having what it has compared anew.
    fn heal_both(&mut self, folder: &Path, say: &dyn Fn(String)) -> Result<()> {
        let (first, second, repository) = (self.machine.blobs()?, self.second.blobs()?, self.first()?.repository);
        let (of_first, of_second) = (rot(&*first, repository, 0)?, rot(&*second, repository, 1)?);
        let device = self.first()?.id.to_string();
        let (is_passed, said) = self.machine.run(&["prove", "--once", "--device", &device], "")?;
        ensure!(!is_passed && said.contains("failed"), "a pack is rotten, and the restore test says: {said}");
        let store = self.store()?;
        let until = Instant::now() + PATIENCE;
        while !store.read_blocking(|conn| store::copy::repairable(conn, 1))?.is_empty() {
            ensure!(Instant::now() < until, "the first store is not repaired from the second");
            std::thread::sleep(LOOK_EVERY);
        }
        drop(store);
        require_whole(&*first, &of_first)?;
        let (is_good, said) = self.rehearse(folder)?;
        ensure!(!is_good && said.contains("\"missing\": 1"), "a pack is rotten, and the drill says: {said}");
        if let Some(serving) = self.serving.take() {
            serving.kill();
        }
        self.serving = Some(self.machine.serve_with(&[&format!("--new-copy={}", self.second.copy)])?);
        self.wait_for_copies()?;
        require_whole(&*second, &of_second)?;
        self.machine.must(&["prove", "--once", "--device", &device], "")?;
        self.machine.must(&["dr", "keep"], "")?;
        say("one pack was rotten on each store; both were found, and repaired from the other store".to_owned());
        self.drill(folder, say)
    }

    /// The first device's master key, which whoever has the device has.
    fn master_key(&self) -> Result<MasterKey> {
        let typed = self.shares.iter().take(3).map(|it| Share::parse(it)).collect::<Result<Vec<_>, _>>()?;
        let key = RecoveryKey::from_shares(&typed)?;
        let id = self.first()?.repository;
        let records = self.store()?.read_blocking(move |conn| store::escrow::of_repository(conn, id))?;
        let opened = records.iter().find_map(|it| escrow::open(key.private(), id, &it.sealed_master_key).ok());
        opened.context("the recovery key opens the first device’s repository")
    }
}

/// Fails if the bytes of an object are not those of its name.
fn require_whole(blobs: &dyn BlobStore, key: &BlobKey) -> Result<()> {
    let bytes = blob::read_all(blobs, key, key.kind.max_bytes())?;
    ensure!(key.name.hash() == Some(secret::sha256(&bytes)), "{key} was not repaired");
    Ok(())
}

/// What `dr drill --json` prints, as far as it matters.
#[derive(Deserialize)]
struct Drill {
    tests: Vec<Drilled>,
    seconds: f64,
}

#[derive(Deserialize)]
struct Drilled {
    result: String,
}

/// What `recovery-key make --json` prints.
#[derive(Deserialize)]
struct Made {
    shares: Vec<String>,
}

fn manifests(devices: &[Device]) -> Result<BTreeMap<String, Manifest>> {
    devices.iter().map(|it| Ok((it.name.clone(), it.manifest()?))).collect()
}

/// Some of the shares, as a file of printed ones has them.
pub(super) fn some(shares: &[String], count: usize) -> String {
    shares.iter().take(count).map(|it| format!("{it}\n\n")).collect()
}
