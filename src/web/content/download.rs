//! `/restore-points/{id}/downloads`: a file, or a folder as an archive, as a stream that is only whole at its end.
use super::files::{self, Asked, Typed};
use crate::auth::{Can, ReadContents};
use crate::content::message::Head;
use crate::content::{Desk, Flow, Trouble, Whole};
use crate::error::Error;
use crate::service::content::{self, Wanted};
use crate::service::guard;
use crate::store::Store;
use crate::web::PageResult;
use crate::web::form::{Pairs, refusal, value};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::body::SizedStream;
use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::http::header::{Charset, ExtendedValue};
use actix_web::web::{Bytes, Data, Form, Path};
use actix_web::{HttpResponse, post};
use clock::Clock;
use domain::content::ReadKind;
use domain::guard::GuardedAct;
use domain::id::RestorePointId;
use domain::manifest::decode_path;
use futures_util::{Stream, stream};

#[post("/restore-points/{id}/downloads")]
pub async fn make(
    by: Can<ReadContents>,
    layout: Layout,
    (store, desk): (Data<Store>, Data<Desk>),
    (clock, shared): (Data<Clock>, Data<Shared>),
    (id, form): (Path<RestorePointId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting) = (id.into_inner(), by.acting());
    // Before asking for the password: whoever may not read it is not asked for one.
    let looked = acting.clone();
    store.read(move |conn| content::find(conn, &looked, id)).await?;
    let wanted = Wanted {
        kind: ReadKind::Download,
        point: id,
        path: value(&form, "path").to_owned(),
        reason: value(&form, "reason").to_owned(),
    };
    let begun = match signed(&by, (&store, &clock, &shared), &wanted, value(&form, "password")).await {
        Ok(()) => desk.take(&acting, wanted.clone(), value(&form, "damaged") == "leave_out").await,
        Err(error) => Err(error),
    };
    let mut typed = Typed { reason: wanted.reason, ..Typed::default() };
    match begun {
        Ok(Ok(flow)) => return Ok(answer(flow)),
        Ok(Err(trouble)) => {
            typed.status = Some(trouble.status());
            typed.trouble = trouble.to_string();
        }
        Err(error) => {
            let (errors, reshown) = refusal(error)?;
            typed.errors = errors;
            typed.status = Some(reshown.status());
        }
    }
    let asked = Asked { path: wanted.path, ..Asked::default() };
    files::page(&by, layout, (&store, &desk), (id, asked), typed).await
}

/// Requires what the table of guards requires: a reason, and a recently entered password.
async fn signed(
    by: &Can<ReadContents>,
    desk: (&Store, &Clock, &Shared),
    wanted: &Wanted,
    password: &str,
) -> Result<(), Error> {
    guard::reason(GuardedAct::DownloadContents, &wanted.reason)?;
    require_password(GuardedAct::DownloadContents, by, desk, password).await
}

fn answer(flow: Flow) -> HttpResponse {
    let Head { name, size } = flow.head.clone();
    let mut response = HttpResponse::Ok();
    response
        // Whatever the device called it: a browser saves it and looks no further.
        .content_type("application/octet-stream")
        .insert_header(disposition(&name, size.is_none()))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"));
    match size {
        Some(size) => response.body(SizedStream::new(size, bytes(flow))),
        None => response.streaming(bytes(flow)),
    }
}

/// The bytes; a download that is not whole ends with an error, so that it does not look whole.
fn bytes(flow: Flow) -> impl Stream<Item = Result<Bytes, Trouble>> {
    stream::try_unfold(flow, |mut flow| async move {
        match flow.next().await {
            Ok(piece) => Ok(Some((Bytes::from(piece), flow))),
            Err(Ok(Whole)) => Ok(None),
            Err(Err(trouble)) => Err(trouble),
        }
    })
}

/// A plain name for old browsers, and the real one encoded (RFC 6266, RFC 8187).
fn disposition(name: &str, is_archive: bool) -> ContentDisposition {
    let name = decode_path(name).map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default();
    let mut name: String = name.chars().filter(|it| is_shown(*it)).take(150).collect();
    if name.trim_matches(['.', ' ']).is_empty() {
        name = "restore-point".to_owned();
    }
    if is_archive {
        name.push_str(".tar");
    }
    let plain = |it: char| if it.is_ascii_alphanumeric() || "._-".contains(it) { it } else { '_' };
    ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![
            DispositionParam::Filename(name.chars().map(plain).collect()),
            DispositionParam::FilenameExt(ExtendedValue {
                charset: Charset::Ext("UTF-8".to_owned()),
                language_tag: None,
                value: name.into_bytes(),
            }),
        ],
    }
}

/// Whether a character belongs in a file's name: none that turns the reading direction, so that `gpj.exe` cannot look
/// like a picture, none that a system takes for a separator, and none that cannot be seen.
fn is_shown(it: char) -> bool {
    let turns = matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !it.is_control() && !turns && !matches!(it, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_header_is_only_a_name() {
        let said = |name: &str, is_archive| disposition(name, is_archive).to_string();
        assert!(said("a.txt", false).starts_with("attachment; filename=\"a.txt\""));
        assert!(said("photos", true).contains("photos.tar"));
        for name in ["", "..", "%00", "\u{202e}"] {
            assert!(said(name, false).contains("filename=\"restore-point\""), "{name:?}");
        }
        let bad = said("a%0D%0ASet-Cookie: x\";/../\u{202e}gpj.exe", false);
        assert!(!bad.contains(['\r', '\n', '/', '\u{202e}']) && bad.matches('"').count() == 2, "{bad}");
        assert!(said("grüße.pdf", false).contains("filename*=UTF-8''gr%C3%BC%C3%9Fe.pdf"));
    }
}
