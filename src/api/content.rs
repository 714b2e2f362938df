//! What is inside a device's restore points as JSON: folders, names over all points, and what two points differ in. Each
//! read leaves the same entry as on a page.
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ReadContents};
use crate::content::message::{Change, Changes, Counts, Difference, Found, Hit, Row, RowKind};
use crate::content::{Desk, Fate, Findings};
use crate::error::Error;
use crate::query::restore_point::RestorePointQuery;
use crate::service::content::{Search, Wanted};
use crate::store::restore_point::RestorePoint;
use crate::zone::Zone;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use clock::Clock;
use domain::content::ReadKind;
use domain::id::{DeviceId, RestorePointId};
use domain::time::Time;
use serde::Deserialize;
use serde_json::{Value, json};

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config
        .service(get("/restore-points/{id}/files.json", files))
        .service(get("/restore-points/{id}/changes.json", changes))
        .service(get("/devices/{id}/restore-points/search.json", search));
}

/// A place in a restore point, as in the address of its page.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    path: String,
    q: String,
    from: u64,
}

async fn files(
    by: Can<ReadContents>,
    desk: Data<Desk>,
    (id, asked): (Path<RestorePointId>, Query<Asked>),
) -> ApiResult<HttpResponse> {
    let Asked { path, q, from } = asked.into_inner();
    let wanted = Wanted { kind: ReadKind::List, point: id.into_inner(), path, reason: String::new() };
    let look = desk.list(&by.acting(), wanted, q.trim().to_owned(), from).await?;
    let answer = with(point(&look.opened.point), json!({ "path": look.opened.read.path }));
    let found = match look.found.map_err(Error::from)? {
        Found::Folder(listed) => json!({
            "entries": listed.rows.iter().map(row).collect::<Vec<_>>(),
            "has_more": listed.has_more,
            "count": listed.count,
            "broken": listed.broken,
        }),
        Found::Single(single) => json!({ "entry": row(&single) }),
    };
    Ok(HttpResponse::Ok().json(with(answer, found)))
}

/// An object with the fields of another one too.
fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// The point that was read, and the moment of which it was read.
fn point(it: &RestorePoint) -> Value {
    json!({ "restore_point": it.id.to_string(), "received_at": it.received_at.iso(), "as_of": it.as_of.iso() })
}

fn row(it: &Row) -> Value {
    let kind = match &it.kind {
        RowKind::File { size, is_whole } => json!({ "kind": "file", "size_bytes": size, "is_whole": is_whole }),
        RowKind::Folder { is_there } => json!({ "kind": "folder", "is_there": is_there }),
        RowKind::Symlink { target } => json!({ "kind": "symlink", "target": target }),
        RowKind::Special { what } => json!({ "kind": "special", "what": what }),
        RowKind::Unusable { why } => json!({ "kind": "unusable", "why": why }),
    };
    let modified = it.modified.and_then(|seconds| seconds.checked_mul(1000)).map(|it| Time::from_millis(it).iso());
    with(kind, json!({ "name": it.name, "modified_at": modified, "mode": format!("{:04o}", it.mode) }))
}

/// The other point, and how many differences come before these.
#[derive(Deserialize)]
struct Other {
    other: Option<RestorePointId>,
    #[serde(default)]
    from: u64,
}

async fn changes(
    by: Can<ReadContents>,
    desk: Data<Desk>,
    (id, other): (Path<RestorePointId>, Query<Other>),
) -> ApiResult<HttpResponse> {
    let old = other.other.ok_or(Error::NotFound("other restore point to compare with"))?;
    let (compared, found) = desk.compare(&by.acting(), (id.into_inner(), old), other.from).await?;
    let Changes { rows, has_more, added, removed, changed, unreadable, is_whole } = found.map_err(Error::from)?;
    let counts = |it: Counts| json!({ "files": it.files, "bytes": it.bytes });
    Ok(HttpResponse::Ok().json(json!({
        "old": point(&compared.old),
        "new": point(&compared.new),
        "added": counts(added),
        "removed": counts(removed),
        "changed": counts(changed),
        "unreadable_folders": unreadable,
        "is_whole": is_whole,
        "has_more": has_more,
        "differences": rows.iter().map(difference).collect::<Vec<_>>(),
    })))
}

fn difference(it: &Change) -> Value {
    let what = match it.what {
        Difference::Added => "added",
        Difference::Removed => "removed",
        Difference::Changed => "changed",
    };
    json!({
        "path": it.path,
        "what": what,
        "is_folder": it.is_folder,
        "old_size_bytes": it.old_size,
        "new_size_bytes": it.new_size,
    })
}

async fn search(
    by: Can<ReadContents>,
    (desk, clock): (Data<Desk>, Data<Clock>),
    (id, query): (Path<DeviceId>, Query<RestorePointQuery>),
) -> ApiResult<HttpResponse> {
    let (as_of, skip) = query.parse(&Zone::new(&by.time_zone, clock.now()))?;
    let text = query.q.trim().to_owned();
    let wanted = Search { device: id.into_inner(), text, as_of, skip, from: query.from.clone() };
    let mut found = desk.find(&by.acting(), wanted).await?;
    if let Some(trouble) = found.trouble.take() {
        return Err(Error::from(trouble).into());
    }
    let hits = &found.hits;
    // What has to follow `skip` and `from` in the next address.
    let next = found.next().map(|it| json!({ "skip": it.skip, "from": it.from }));
    Ok(HttpResponse::Ok().json(json!({
        "as_of": as_of.map(Time::iso),
        "searched": hits.searched,
        "paths": hits.rows.iter().map(|it| hit(&found, it)).collect::<Vec<_>>(),
        "has_more": hits.has_more,
        "unreadable_folders": hits.unreadable_folders,
        "unreadable_points": hits.unreadable_points,
        "next": next,
    })))
}

fn hit(found: &Findings, it: &Hit) -> Value {
    let (fate, last, gone) = match found.fate(it) {
        Fate::Still => ("still", None, None),
        Fate::Newer(at) => ("newer", Some(at), None),
        Fate::Gone(last, gone) => ("gone", Some(last), Some(gone)),
        Fate::Unknown => ("unknown", None, None),
    };
    let span =
        |(oldest, newest): (&RestorePoint, &RestorePoint)| json!({ "newest": point(newest), "oldest": point(oldest) });
    json!({
        "path": it.path,
        "is_cut": it.is_cut,
        "is_folder": it.is_folder,
        "size_bytes": it.size,
        "versions": it.versions,
        "spans": it.spans.iter().filter_map(|it| found.span(it)).map(span).collect::<Vec<_>>(),
        "fate": fate,
        "last_there_at": last.map(Time::iso),
        "first_gone_at": gone.map(Time::iso),
    })
}
