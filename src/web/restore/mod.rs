//! Getting data back: four steps, each with its own address, and what became of it.
mod decide;
mod order;
mod show;
mod undo;
mod wizard;

use crate::error::{Error, Result};
use crate::service::restore::Draft;
use crate::store::restore::Restore;
use crate::web::area::{Area, Place};
use crate::web::form::{Pairs, value, values};
use actix_web::web::ServiceConfig;
use domain::id::DeviceId;
use domain::restore::{Conflict, FileClass, RestoreState, Selection, UndoState};

pub const AREA: Area = Area {
    place: Place::Below("/restore-tests"),
    pages_with_forms: &["/devices/{id}/restore/what"],
    forms: &[
        ("/devices/{id}/restore/preview", "/devices/{id}/restore"),
        ("/devices/{id}/restore/where", "/devices/{id}/restore"),
        ("/devices/{id}/restores", "/devices/{id}/restore"),
        ("/restores/{id}/approvals", "/restores/{id}"),
        ("/restores/{id}/cancellations", "/restores/{id}"),
        ("/restores/{id}/refusals", "/restores/{id}"),
        ("/restores/{id}/undos", "/restores/{id}"),
    ],
    ..Area::new(routes, &["restores"])
};

fn routes(config: &mut ServiceConfig) {
    config
        .service(wizard::point::choose_point)
        .service(wizard::what::choose_what)
        .service(wizard::what::choose_again)
        .service(wizard::target::choose_target)
        .service(wizard::preview::preview)
        .service(order::create)
        .service(show::list)
        .service(show::show)
        .service(show::cancel)
        .service(decide::approve)
        .service(decide::refuse)
        .service(undo::undo);
}

/// The badge of a restore: its class and its icon.
pub const fn badge(restore: &Restore) -> (&'static str, &'static str) {
    match restore.state {
        RestoreState::Requested => ("held", "circle-help"),
        RestoreState::Queued => ("dated", "send"),
        RestoreState::Running => ("dated", "hourglass"),
        // Files that were already there were not compared.
        RestoreState::Compared if restore.matched_count < restore.file_count => ("dated", "triangle-alert"),
        RestoreState::Compared => ("proven", "circle-check"),
        RestoreState::Failed => ("lost", "circle-x"),
        RestoreState::Expired | RestoreState::Cancelled => ("", "ban"),
    }
}

/// The badge of an undo: its class and its icon.
pub const fn undo_badge(state: UndoState) -> (&'static str, &'static str) {
    match state {
        UndoState::Queued => ("dated", "send"),
        // Only the device says so.
        UndoState::Undone => ("", "undo-2"),
        UndoState::Failed => ("lost", "triangle-alert"),
        UndoState::Ended => ("", "ban"),
    }
}

/// What has been chosen so far, carried from step to step in hidden fields: a list of files is too long for an
/// address, and addresses stay in histories and logs.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub point: String,
    /// "all", "class" or "paths".
    pub what: String,
    pub class: String,
    pub paths: Vec<String>,
    pub target: String,
    pub conflict: String,
    pub unproven: bool,
    pub reason: String,
}

impl Choice {
    /// Reads an address or a form.
    pub fn of(pairs: &Pairs) -> Self {
        let text = |name: &str| value(pairs, name).to_owned();
        let typed = value(pairs, "lines").lines().map(str::trim).filter(|it| !it.is_empty()).map(ToOwned::to_owned);
        let mut paths: Vec<String> = values(pairs, "path").map(ToOwned::to_owned).chain(typed).collect();
        paths.sort();
        paths.dedup();
        Self {
            point: text("point"),
            what: Some(text("what")).filter(|it| !it.is_empty()).unwrap_or_else(|| "all".to_owned()),
            class: text("class"),
            paths,
            target: text("target"),
            conflict: Some(text("conflict")).filter(|it| !it.is_empty()).unwrap_or_else(|| "keep_both".to_owned()),
            unproven: value(pairs, "unproven") == "yes",
            reason: text("reason"),
        }
    }

    /// Everything chosen, for the hidden fields of the next step. Empty values are left out.
    pub fn pairs(&self) -> Vec<(&'static str, &str)> {
        let single = [
            ("point", self.point.as_str()),
            ("what", self.what.as_str()),
            ("class", self.class.as_str()),
            ("target", self.target.as_str()),
            ("conflict", self.conflict.as_str()),
            ("unproven", if self.unproven { "yes" } else { "" }),
            ("reason", self.reason.as_str()),
        ];
        let paths = self.paths.iter().map(|it| ("path", it.as_str()));
        single.into_iter().chain(paths).filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Whether this value's name is among `names`; then the form has its own field for it.
    pub fn kept<'a>(&'a self, names: &[&str]) -> Vec<(&'static str, &'a str)> {
        self.pairs().into_iter().filter(|(name, _)| !names.contains(name)).collect()
    }

    /// What is restored.
    ///
    /// # Errors
    /// When the class is unknown, or no path is chosen.
    pub fn selection(&self) -> Result<Selection> {
        match self.what.as_str() {
            "class" => FileClass::parse(&self.class)
                .map(Selection::Class)
                .ok_or_else(|| Error::invalid("class", "Choose a kind of files.")),
            "paths" if self.paths.is_empty() => {
                Err(Error::invalid("what-paths", "Nothing is chosen yet: search for files, or choose everything."))
            }
            "paths" => Ok(Selection::Paths(self.paths.clone())),
            _ => Ok(Selection::All),
        }
    }

    /// All of it in the form the service takes.
    ///
    /// # Errors
    /// When a step was skipped.
    pub fn draft(&self, device: DeviceId, request_key: &str) -> Result<Draft> {
        use domain::id::RestorePointId;
        Ok(Draft {
            device,
            point: RestorePointId::parse(&self.point).ok_or(Error::NotFound("restore point"))?,
            selection: self.selection()?,
            target: DeviceId::parse(&self.target)
                .ok_or_else(|| Error::invalid("target", "Choose the device to restore to."))?,
            conflict: Conflict::parse(&self.conflict)
                .ok_or_else(|| Error::invalid("conflict", "Choose what happens if a file is already there."))?,
            accepts_unproven: self.unproven,
            reason: self.reason.clone(),
            request_key: Some(request_key.chars().take(80).collect()).filter(|it: &String| !it.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Pairs {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_was_chosen_goes_from_step_to_step_unchanged() {
        let first = Choice::of(&pairs(&[
            ("point", "p"),
            ("what", "paths"),
            ("path", "/a b/ü&=?"),
            ("lines", "/c\r\n\r\n /d "),
            ("unproven", "yes"),
        ]));

        let second = Choice::of(&pairs(&first.pairs()));

        assert_eq!(first.paths, ["/a b/ü&=?", "/c", "/d"]);
        assert_eq!(first.pairs(), second.pairs());
        assert_eq!(second.paths, first.paths);
        assert_eq!(second.selection().unwrap(), Selection::Paths(first.paths.clone()));
    }

    #[test]
    fn a_class_must_be_one() {
        let of = |class| Choice::of(&pairs(&[("what", "class"), ("class", class)]));
        assert!(of("photos").selection().is_ok());
        assert!(of("").selection().is_err());
        assert!(of("x").selection().is_err());
    }
}
