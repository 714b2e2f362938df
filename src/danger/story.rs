//! How it goes: build, lose everything, bring everything back, compare.
use super::device::{Device, Manifest, Running};
use super::machine::{Machine, Serving};
use super::thief::Thief;
use super::{DeviceOutcome, Outcome, Plan, Variant, poison, world};
use crate::blob::fs::FsBlobs;
use crate::blob::home::{Opening, read_marker};
use crate::proof::escrow;
use crate::store::restore::Restore;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Database, Store};
use anyhow::{Context, Result, ensure};
use clock::Clock;
use domain::by::By;
use domain::object::ObjectKind;
use domain::time::Time;
use repository::MasterKey;
use secret::recovery::{RecoveryKey, Share};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How the names of the folders begin in which the second store has the console's states.
const STATES: &str = "00000000-0000-7000-8000-";

/// Plays it; `say` is told what happens.
///
/// # Errors
/// When something does not work that has nothing to do with the disaster, or something worked that must not.
pub fn run(plan: &Plan, say: &dyn Fn(String)) -> Result<Outcome> {
    let mut before = Before::build(plan, say)?;
    before.go_wrong(plan, say)?;
    let lost_at = before.lose_everything(say)?;
    before.refuse_two_shares()?;
    if plan.variant == Variant::NoState {
        before.lose_states()?;
    }
    let after = before.machine.successor(plan.folder.join("second-console"));
    let thief = (plan.variant == Variant::DeletedCopy).then(|| Thief::of(&plan.second)).transpose()?;
    if let Some(thief) = &thief {
        say(thief.rob()?);
        before.find_nothing(&after)?;
    }
    let begun = Instant::now();
    if thief.is_some() {
        say(undelete(&after)?);
    }
    let said = before.bring_console_back(&after, plan.variant)?;
    let console_seconds = begun.elapsed().as_secs_f64();
    say(format!("the console is back after {console_seconds:.1} s:\n{}", said.trim_end()));
    let devices = before.restore_devices(&after, plan.variant, Times { lost_at, begun })?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Outcome { variant: plan.variant, devices, seconds, console_seconds })
}

/// Everything before the disaster, and what is known of it afterwards.
struct Before {
    machine: Machine,
    serving: Option<Serving>,
    by: By,
    shares: Vec<String>,
    devices: Vec<Device>,
    held: BTreeMap<String, Manifest>,
    second: PathBuf,
}

impl Before {
    fn build(plan: &Plan, say: &dyn Fn(String)) -> Result<Self> {
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
        let second = PathBuf::from(&plan.second.copy);
        say(format!(
            "{} devices with {} MiB each are enrolled and backed up",
            devices.len(),
            plan.holdings.bytes >> 20
        ));
        let before = Self { machine, serving, by, shares, devices, held, second };
        before.wait_for_copies()?;
        before.machine.must(&["dr", "keep"], "")?;
        Ok(before)
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

    /// Takes the console's states away from the second store. A bucket lets nobody do that: there they are not used.
    fn lose_states(&self) -> Result<()> {
        if !self.second.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(&self.second)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(STATES) {
                fs::remove_dir_all(entry.path()).context("destroying states")?;
            }
        }
        let attempt = self.machine.successor(self.machine.data.with_file_name("without-state"));
        let (is_done, said) = attempt.run(&["dr", "restore"], &some(&self.shares, 3))?;
        ensure!(!is_done && said.contains("--without-state"), "there is no state, and dr restore says: {said}");
        Ok(())
    }

    fn first(&self) -> Result<&Device> {
        self.devices.first().context("there is a device")
    }

    fn go_wrong(&mut self, plan: &Plan, say: &dyn Fn(String)) -> Result<()> {
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
                let identity = read_marker(&self.machine.data.join("blobs")).context("the store has a marker")?;
                let blobs = FsBlobs::open_home(&self.machine.data.join("blobs"), &identity, Opening::Beside)?;
                poison::poison(&self.machine.url, self.first()?, &blobs, &key)?;
                self.wait_for_copies()?;
                self.machine.must(&["dr", "keep"], "")?;
                say("the first device uploaded a poisoned index and a snapshot of the year 2099".to_owned());
            }
            Variant::NoState => {
                self.wait_for_records()?;
                say("the second store has the escrow record of each device".to_owned());
            }
            Variant::RottenPack => {
                let path = self.spoil()?;
                say(format!("one byte of {} on the second store is another one", path.display()));
            }
        }
        Ok(())
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

    /// Changes one byte of the largest pack of the first device on the second store, which is a folder.
    fn spoil(&self) -> Result<PathBuf> {
        ensure!(self.second.is_dir(), "this variant needs a folder as the second store");
        let identity = read_marker(&self.second).context("the second store has a marker")?;
        let copy = FsBlobs::open_home(&self.second, &identity, Opening::Beside)?;
        let listed = crate::blob::BlobStore::list(&copy, self.first()?.repository)?;
        let packs = listed.into_iter().filter(|it| it.0.kind == ObjectKind::Data);
        let (key, _) = packs.max_by_key(|it| it.1).context("the first device has a pack")?;
        let name = key.name.as_str();
        let folder = self.second.join(key.repository.as_str()).join("data").join(name.get(..2).unwrap_or_default());
        let path = folder.join(name);
        let mut bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let middle = bytes.len() / 2;
        let byte = bytes.get_mut(middle).context("a pack has bytes")?;
        *byte ^= 1;
        // In place of the file, which is read-only.
        fs::remove_file(&path)?;
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// Kills the server and destroys everything that it had, and every device's files.
    fn lose_everything(&mut self, say: &dyn Fn(String)) -> Result<Time> {
        let serving = self.serving.take().context("the server runs")?;
        serving.kill();
        let lost_at = Clock::System.now();
        self.machine.destroy()?;
        for device in &self.devices {
            device.lose_everything()?;
        }
        say("the server was killed; its database, its backup store, its key and every device’s files are gone"
            .to_owned());
        Ok(lost_at)
    }

    /// What was deleted is not there, and whoever wants it back is told what to do.
    fn find_nothing(&self, after: &Machine) -> Result<()> {
        let attempt = after.successor(after.data.with_file_name("too-early"));
        let (is_done, said) = attempt.run(&["dr", "restore"], &some(&self.shares, 3))?;
        ensure!(!is_done && said.contains("dr undelete"), "everything was deleted, but `dr restore` says: {said}");
        Ok(())
    }

    /// Two shares bring nothing back.
    fn refuse_two_shares(&self) -> Result<()> {
        let attempt = self.machine.successor(self.machine.data.with_file_name("two-shares"));
        let (is_done, said) = attempt.run(&["dr", "restore"], &some(&self.shares, 2))?;
        ensure!(!is_done && said.contains("only 2 of the 3 shares"), "two shares must not suffice, but: {said}");
        ensure!(!attempt.database().exists(), "two shares left a database behind");
        Ok(())
    }

    fn bring_console_back(&self, after: &Machine, variant: Variant) -> Result<String> {
        let arguments: &[&str] = match variant {
            Variant::NoState => &["dr", "restore", "--without-state"],
            Variant::Plain
            | Variant::OlderState
            | Variant::PoisonedIndex
            | Variant::RottenPack
            | Variant::DeletedCopy => &["dr", "restore"],
        };
        let (is_whole, said) = after.run(arguments, &some(&self.shares, 3))?;
        // What is lost on both is said, and everything else is brought back.
        let must_be_whole = variant != Variant::RottenPack;
        ensure!(is_whole == must_be_whole, "dr restore says: {said}");
        Ok(said)
    }

    /// Orders all restores, lets the agents run, and compares.
    fn restore_devices(&self, after: &Machine, variant: Variant, times: Times) -> Result<Vec<DeviceOutcome>> {
        // Whoever brought it back has looked.
        after.must(&["admin", "unfreeze"], "")?;
        match variant {
            Variant::Plain | Variant::PoisonedIndex | Variant::RottenPack | Variant::DeletedCopy => {}
            Variant::OlderState => self.tell_again(after, &[])?,
            Variant::NoState => self.tell_again(after, &["--new-copy"])?,
        }
        let store = world::open(&after.database())?;
        let by = match variant {
            // Nobody has an account.
            Variant::NoState => world::people(&store)?,
            Variant::Plain
            | Variant::OlderState
            | Variant::PoisonedIndex
            | Variant::RottenPack
            | Variant::DeletedCopy => world::operator(&store, &self.by)?,
        };
        let mut waiting = Vec::new();
        for device in &self.devices {
            let point = world::newest(&store, device.id)?;
            let ordered = world::order(&store, &by, &after.data, device, &point)?;
            waiting.push((device, point, ordered));
        }
        drop(store);
        let _serving = after.serve()?;
        let _agents = self.devices.iter().map(Device::start).collect::<Result<Vec<Running>>>()?;
        let store = Store::open_read_only(&Database::Sqlite(after.database()))?;
        let until = Instant::now() + PATIENCE;
        let mut done = Vec::new();
        while !waiting.is_empty() {
            ensure!(Instant::now() < until, "{} of the devices do not get their files back", waiting.len());
            let mut still = Vec::new();
            for (device, point, id) in waiting {
                let restore = store.read_blocking(move |conn| store::restore::find(conn, id))?;
                match restore.filter(|it| it.state.is_final()) {
                    Some(restore) => done.push(self.outcome(device, &point, &restore, variant, times)?),
                    None => still.push((device, point, id)),
                }
            }
            waiting = still;
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(done)
    }

    /// Lets the devices check in, so that they tell the console what it does not know any more.
    fn tell_again(&self, after: &Machine, further: &[&str]) -> Result<()> {
        let _serving = after.serve_with(further)?;
        let _agents = self.devices.iter().map(Device::start).collect::<Result<Vec<Running>>>()?;
        let store = Store::open_read_only(&Database::Sqlite(after.database()))?;
        let until = Instant::now() + PATIENCE;
        for device in &self.devices {
            let id = device.id;
            let is_known = || -> Result<bool> {
                let points = store.read_blocking(move |conn| store::restore_point::of_device(conn, id, 1))?;
                Ok(points.first().is_some_and(|it| it.manifest_name.is_some()))
            };
            while !is_known()? {
                ensure!(Instant::now() < until, "{} does not tell of its newest backup", device.name);
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// Compares what a device has with what it had, and with what the console says of it.
    fn outcome(
        &self,
        device: &Device,
        point: &RestorePoint,
        restore: &Restore,
        variant: Variant,
        times: Times,
    ) -> Result<DeviceOutcome> {
        let recovery_time_seconds = times.begun.elapsed().as_secs_f64();
        let held = self.held.get(&device.name).with_context(|| format!("nobody knows what {} had", device.name))?;
        let found = device.manifest()?;
        let different: Vec<String> =
            held.iter().filter(|(name, hash)| found.get(*name) != Some(*hash)).map(|it| it.0.clone()).collect();
        let findings = restore.outcome()?;
        let failed = findings.failures.into_iter().map(|it| it.0);
        let said: BTreeSet<String> = failed.chain(findings.differing).chain(findings.missing).collect();
        let is_said = |name: &String| said.iter().any(|path| path.ends_with(&format!("/{name}")));
        ensure!(
            said.len() == different.len() && different.iter().all(is_said) && findings.note.is_empty(),
            "{}: not what they were are {different:?}, and the console says that of {said:?} {}",
            device.name,
            findings.note
        );
        let is_spoilt = variant == Variant::RottenPack && device.name == self.first()?.name;
        Ok(DeviceOutcome {
            name: device.name.clone(),
            files: held.len(),
            bytes: u64::try_from(point.size_bytes.unwrap_or(0)).unwrap_or(0),
            is_spoilt,
            different,
            recovery_point_seconds: times.lost_at.since(point.received_at).as_secs_f64(),
            recovery_time_seconds,
        })
    }
}

/// Looks first, and then brings back what was deleted.
fn undelete(after: &Machine) -> Result<String> {
    let looked = after.must(&["dr", "undelete"], "")?;
    ensure!(looked.contains("Nothing was changed"), "a look changed something: {looked}");
    let said = after.must(&["dr", "undelete", "--bring-back"], "")?;
    let again = after.must(&["dr", "undelete"], "")?;
    ensure!(again.contains("Nothing is to be brought back"), "not everything is back: {again}");
    Ok(format!("{}\n{}", looked.trim_end(), said.trim_end()))
}

/// What `recovery-key make --json` prints.
#[derive(Deserialize)]
struct Made {
    shares: Vec<String>,
}

/// From when on is measured.
#[derive(Clone, Copy)]
struct Times {
    lost_at: Time,
    begun: Instant,
}

fn manifests(devices: &[Device]) -> Result<BTreeMap<String, Manifest>> {
    devices.iter().map(|it| Ok((it.name.clone(), it.manifest()?))).collect()
}

/// Some of the shares, as a file of printed ones has them.
fn some(shares: &[String], count: usize) -> String {
    shares.iter().take(count).map(|it| format!("{it}\n\n")).collect()
}
