//! The page: what is kept, what waits, what a change would end, what is in the trash, and what is on hold.
use crate::auth::{Can, ViewDevices};
use crate::error::{Error, FieldErrors, Result};
use crate::service::retention::{self, NAMED, Total, Waiting};
use crate::store::hold::Hold;
use crate::store::prune::Prune;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::form::{Pairs, encode, value};
use crate::web::layout::Layout;
use actix_web::web::Data;
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::id::UserId;
use domain::retention::{Brake, Keep, PruneState, Rule, Unreadable, erase_brakes};
use domain::role::{Permission, Reach};
use domain::time::Time;

/// How much of the trash and of the holds is shown.
const SHOWN: i64 = 200;

#[derive(Template, WebTemplate)]
#[template(path = "retention/show.html")]
pub struct RetentionPage {
    pub layout: Layout,
    /// What is kept; the reason if that cannot be read.
    pub keep: std::result::Result<String, String>,
    pub waiting: Vec<Asked>,
    pub fields: Vec<Field>,
    /// Whether the form says that everything is kept.
    pub is_everything: bool,
    pub reason: String,
    /// What the form's rule would end.
    pub preview: Option<Preview>,
    pub trash: Vec<InTrash>,
    pub holds: Vec<(Hold, Option<String>)>,
    pub errors: FieldErrors,
}

impl RetentionPage {
    /// Whether what was previewed needs a second person.
    fn is_shorter(&self) -> bool {
        self.preview.as_ref().is_none_or(|it| it.is_shorter)
    }
}

/// A change that waits, and what this person may do with it.
pub struct Asked {
    pub it: Waiting,
    pub before: String,
    pub after: String,
    pub requested_by: String,
    pub approved_by: Option<String>,
    /// What its second person agrees to.
    pub seen: String,
    pub is_own: bool,
    /// What it would end, for whoever may agree.
    pub preview: Option<Preview>,
}

/// A number of the form.
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    pub text: String,
}

/// What a rule would end.
pub struct Preview {
    pub keep: String,
    /// The rule as an address has it.
    pub rule: String,
    /// Whether a second person has to agree to it.
    pub is_shorter: bool,
    pub total: Total,
    pub more: usize,
}

/// What ended of a device and is not erased yet.
pub struct InTrash {
    pub prune: Prune,
    pub device: String,
    pub is_held: bool,
    /// What keeps it from being erased when its time comes.
    pub brakes: Vec<Brake>,
}

impl InTrash {
    pub fn can_come_back(&self) -> bool {
        self.prune.state == PruneState::Trashed
    }
}

/// What the form says.
#[derive(Debug, Clone)]
pub struct Typed {
    pub is_everything: bool,
    pub values: [String; 6],
    pub reason: String,
}

impl Typed {
    /// The rule in force; without one, a proposal that keeps much.
    fn of(keep: &std::result::Result<Keep, Unreadable>) -> Self {
        const PROPOSED: Rule = Rule { last: 10, daily: 30, weekly: 12, monthly: 24, yearly: 10, within_days: 30 };
        let (is_everything, rule) = match keep {
            Ok(Keep::By(rule)) => (false, *rule),
            Ok(Keep::Everything) | Err(_) => (true, PROPOSED),
        };
        Self { is_everything, values: rule.values().map(|it| it.to_string()), reason: String::new() }
    }

    /// What was typed.
    pub fn read(form: &Pairs) -> Self {
        Self {
            is_everything: value(form, "keep") == "everything",
            values: Rule::LIMITS.map(|it| value(form, it.field).to_owned()),
            reason: value(form, "reason").to_owned(),
        }
    }

    /// What is to be kept.
    ///
    /// # Errors
    /// `Invalid` in each field that is not a number within its limits.
    pub fn keep(&self) -> Result<Keep> {
        if self.is_everything {
            return Ok(Keep::Everything);
        }
        let mut errors = FieldErrors::new();
        let mut values = [0; 6];
        for ((limits, text), to) in Rule::LIMITS.into_iter().zip(&self.values).zip(&mut values) {
            match text.trim().parse() {
                Ok(number) if (limits.least..=limits.most).contains(&number) => *to = number,
                _ => {
                    errors.add(limits.field, format!("Enter a whole number from {} to {}.", limits.least, limits.most));
                }
            }
        }
        errors.into_result().map_err(Error::from)?;
        Ok(Keep::By(Rule::of(values)))
    }

    fn fields(&self) -> Vec<Field> {
        let fields = Rule::LIMITS.into_iter().zip(&self.values);
        fields.map(|(it, text)| Field { name: it.field, label: it.label, help: it.help, text: text.clone() }).collect()
    }
}

#[get("/retention")]
pub async fn show(by: Can<ViewDevices>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    page(&by, layout, &store, (None, None), FieldErrors::new()).await
}

/// The page with what was typed, and with what that would end.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    by: &Can<ViewDevices>,
    layout: Layout,
    store: &Store,
    (typed, previewed): (Option<Typed>, Option<Keep>),
    errors: FieldErrors,
) -> PageResult<RetentionPage> {
    let (reach, user, now) = (by.reach().clone(), by.id, layout.now);
    let read = move |conn: &mut Conn| -> Result<_> {
        let (keep, waiting) = (retention::current(conn)?, asked(conn, user, now)?);
        Ok((keep, waiting, trash(conn, &reach, now)?, holds(conn, &reach)?))
    };
    let (keep, mut waiting, trash, holds) = store.read(read).await?;
    let before = keep.clone().unwrap_or(Keep::Everything);
    let sees_rule = layout.grants.allows_everywhere(Permission::ManageSettings);
    let preview = match previewed.filter(|_| sees_rule) {
        Some(next) => Some(preview(store, &before, next, now).await?),
        None => None,
    };
    // Whoever agrees sees what whoever asked was shown.
    let agrees = layout.grants.allows_everywhere(Permission::ApproveRemoval) && *by.reach() == Reach::All;
    for asked in waiting.iter_mut().filter(|it| agrees && !it.is_own && it.it.in_force_at.is_none()) {
        if let Ok(next) = asked.it.keep {
            asked.preview = Some(self::preview(store, &before, next, now).await?);
        }
    }
    let typed = typed.unwrap_or_else(|| Typed::of(&keep));
    Ok(RetentionPage {
        layout,
        keep: keep.map(|it| it.words()).map_err(|why| why.to_string()),
        waiting,
        fields: typed.fields(),
        is_everything: typed.is_everything,
        reason: typed.reason,
        preview,
        trash,
        holds,
        errors,
    })
}

async fn preview(store: &Store, before: &Keep, next: Keep, now: Time) -> Result<Preview> {
    let mut total = Total::default();
    while !total.is_whole {
        total = store.read(move |conn| retention::preview(conn, &next, total, now)).await?;
    }
    let more = total.row_count.saturating_sub(NAMED);
    Ok(Preview {
        keep: next.words(),
        rule: encode(&next.text()),
        is_shorter: next.is_shorter_than(before),
        total,
        more,
    })
}

fn asked(conn: &mut Conn, user: UserId, now: Time) -> Result<Vec<Asked>> {
    let mut found = Vec::new();
    for it in retention::waiting(conn, now)? {
        let mut name = |id: UserId| -> Result<String> {
            Ok(store::person::find(conn, id)?.map_or_else(|| "somebody".to_owned(), |it| it.name))
        };
        let requested_by = name(it.change.requested_by)?;
        let approved_by = it.change.approved_by.map(name).transpose()?;
        let words = |text: &str| Keep::read(text).map_or_else(|why| why.to_string(), |it| it.words());
        found.push(Asked {
            before: words(&it.change.before),
            after: words(&it.change.rule),
            requested_by,
            approved_by,
            seen: retention::shown(&it.change)?,
            is_own: it.change.requested_by == user,
            preview: None,
            it,
        });
    }
    Ok(found)
}

fn trash(conn: &mut Conn, reach: &Reach, now: Time) -> Result<Vec<InTrash>> {
    let mut found = Vec::new();
    for prune in store::prune::in_states(conn, &store::prune::OPEN, SHOWN)? {
        let Some(device) = store::device::find(conn, prune.device_id)?.filter(|it| reach.covers(it.team_id)) else {
            continue;
        };
        let repository = store::repository::find(conn, prune.repository_id)?.ok_or(Error::NotFound("repository"))?;
        let facts = retention::state(conn, &device, &repository, now)?;
        let is_held = retention::is_held(conn, &device)?;
        let brakes = if prune.erase_at <= now { erase_brakes(&facts, now) } else { Vec::new() };
        found.push(InTrash { prune, device: device.name, is_held, brakes });
    }
    Ok(found)
}

/// The holds within reach, with the names of their devices.
fn holds(conn: &mut Conn, reach: &Reach) -> Result<Vec<(Hold, Option<String>)>> {
    let mut found = Vec::new();
    for hold in store::hold::all_standing(conn, SHOWN)? {
        match hold.device_id {
            None if *reach == Reach::All => found.push((hold, None)),
            None => {}
            Some(id) => {
                if let Some(device) = store::device::find(conn, id)?.filter(|it| reach.covers(it.team_id)) {
                    found.push((hold, Some(device.name)));
                }
            }
        }
    }
    Ok(found)
}
