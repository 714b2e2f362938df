//! What happens while somebody watches: each device's turn, when its time has come.
use super::device::Running;
use super::files;
use super::scenario::Story;
use super::world::World;
use crate::app::App;
use crate::error::Error;
use crate::store;
use anyhow::{Context, Result};
use domain::object::ObjectKind;
use domain::proof::Grade;
use domain::words::files;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How far one device's story has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chapter {
    /// Waiting for its first backup.
    Enrolled,
    BackedUp,
    Proven,
    /// Its turn has come and has been told.
    Told,
}

/// Follows all devices, prints what happens, and does what the scenario says.
pub struct Teller<'a> {
    app: &'a App,
    world: &'a World,
    chapters: Vec<Chapter>,
    grades: Vec<Option<Grade>>,
}

impl<'a> Teller<'a> {
    pub fn new(app: &'a App, world: &'a World, device_count: usize) -> Self {
        Self { app, world, chapters: vec![Chapter::Enrolled; device_count], grades: vec![None; device_count] }
    }

    /// Whether every story has been told as far as it goes by itself.
    pub fn is_done(&self, devices: &[Running]) -> bool {
        self.chapters
            .iter()
            .zip(&self.grades)
            .zip(devices)
            .all(|((chapter, grade), device)| is_told(*chapter, *grade, device) || !self.has_backups(device))
    }

    fn has_backups(&self, device: &Running) -> bool {
        self.world.backs_up(&device.told.team)
    }

    /// Looks once at every device.
    ///
    /// # Errors
    /// When the database cannot be read, or a file not be changed.
    pub fn look(&mut self, devices: &[Running], say: &dyn Fn(String)) -> Result<()> {
        for (at, device) in devices.iter().enumerate() {
            let now = self.app.clock.now();
            let id = device.id;
            let row = self.app.store.read_blocking(move |conn| store::device_proof::find(conn, id))?;
            let Some(row) = row else { continue };
            let grade = row.evidence().grade(now);
            let (Some(chapter), Some(seen)) = (self.chapters.get_mut(at), self.grades.get_mut(at)) else { continue };
            let name = &device.told.name;
            if *chapter == Chapter::Enrolled && row.newest_at.is_some() {
                *chapter = Chapter::BackedUp;
                say(format!("{name}: backed up {}; the restore test follows", files(device.file_count)));
            }
            if *chapter == Chapter::BackedUp && grade == Grade::Proven {
                *chapter = Chapter::Proven;
                say(format!("{name}: proven, {} of {} restored and equal", row.matched_count, files(row.file_count)));
            }
            if *chapter == Chapter::Proven {
                *chapter = Chapter::Told;
                self.turn(device, say)?;
            } else if *chapter == Chapter::Told && *seen != Some(grade) {
                say(format!("{name}: {}", grade.name().to_lowercase()));
            }
            if let Some(seen) = self.grades.get_mut(at) {
                *seen = Some(grade);
            }
        }
        Ok(())
    }

    fn turn(&self, device: &Running, say: &dyn Fn(String)) -> Result<()> {
        let name = &device.told.name;
        match device.told.story {
            Story::Works | Story::Empty => {}
            Story::GoesSilent => {
                device.stop();
                say(format!("{name}: goes silent; its policy notices in 3 minutes"));
            }
            Story::ChangesAfterProof => {
                files::work_on(&device.files, name)?;
                say(format!("{name}: somebody works on 11 files; the next check-in reports it"));
            }
            Story::DamagedBackup => {
                let object = largest(&self.app.config.blobs.join(device.repository.as_str()))
                    .context("the demo found no stored object to damage")?;
                flip(&object).with_context(|| format!("damaging {}", object.display()))?;
                let short =
                    object.file_name().unwrap_or_default().to_string_lossy().chars().take(12).collect::<String>();
                say(format!("{name}: 16 bytes of the stored object {short}… were flipped on the disk; prove it again"));
                self.ask_for_proof(device)?;
            }
        }
        Ok(())
    }

    /// As the operator does with the button "Prove now".
    fn ask_for_proof(&self, device: &Running) -> Result<()> {
        let (by, id, now) = (self.world.operator.clone(), device.id, self.app.clock.now());
        self.app
            .store
            .act_blocking(move |conn| -> Result<_, Error> { crate::service::proof::ask(conn, &by, id, now) })?;
        Ok(())
    }
}

/// A damaged backup's story ends when its test has failed.
fn is_told(chapter: Chapter, grade: Option<Grade>, device: &Running) -> bool {
    chapter == Chapter::Told && (device.told.story != Story::DamagedBackup || grade == Some(Grade::Failed))
}

/// The largest pack in a repository's folder.
fn largest(repository: &Path) -> Option<PathBuf> {
    let mut folders = vec![repository.join(ObjectKind::Data.as_str())];
    let mut best: Option<(u64, PathBuf)> = None;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.filter_map(Result::ok) {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                folders.push(entry.path());
            } else if best.as_ref().is_none_or(|(size, _)| about.len() > *size) {
                best = Some((about.len(), entry.path()));
            }
        }
    }
    best.map(|(_, path)| path)
}

/// Flips 16 bytes in the middle of a file, as a failing disk does: the length and times of the file stay.
fn flip(path: &Path) -> Result<()> {
    let mut permissions = std::fs::metadata(path)?.permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "only the owner's bit matters in this private folder")]
    permissions.set_readonly(false);
    std::fs::set_permissions(path, permissions)?;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let middle = file.metadata()?.len() / 2;
    let mut bytes = [0; 16];
    file.seek(SeekFrom::Start(middle))?;
    file.read_exact(&mut bytes)?;
    file.seek(SeekFrom::Start(middle))?;
    file.write_all(&bytes.map(|it| !it))?;
    file.sync_all()?;
    Ok(())
}
