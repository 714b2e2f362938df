//! Style sheets, icons and scripts, embedded in the program.
//!
//! The address of each file carries a hash of its content, so browsers keep it forever and never show an old
//! one. They are sent compressed to clients that accept it. Pages never are: they hold secrets next to text
//! chosen by the request, and their length would give them away (BREACH).
use crate::error::Error;
use crate::web::PageResult;
use crate::web::area::Area;
use actix_web::http::header::{self, AcceptEncoding, Encoding, EntityTag, HeaderValue, IfNoneMatch};
use actix_web::web::{Bytes, Header, Path, ServiceConfig};
use actix_web::{HttpResponse, get};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

pub const AREA: Area = Area { public: &["/static/{hash}/{name:.+}"], ..Area::new(routes, &["static"]) };

fn routes(config: &mut ServiceConfig) {
    config.service(show);
}

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// All style sheets in one file, ordered by name.
const STYLE: &str = "app.css";

struct Asset {
    hash: String,
    kind: &'static str,
    bytes: Bytes,
    /// Compressed with gzip; none if that saves nothing.
    packed: Option<Bytes>,
}

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    let mut assets = BTreeMap::new();
    let mut style = Vec::new();
    let mut names: Vec<String> = Files::iter().map(std::borrow::Cow::into_owned).collect();
    names.sort();
    for name in names {
        let Some(file) = Files::get(&name) else { continue };
        if name.starts_with("css/") {
            style.extend_from_slice(&file.data);
            style.push(b'\n');
        } else {
            assets.insert(name.clone(), asset(&name, file.data.into_owned()));
        }
    }
    assets.insert(STYLE.to_owned(), asset(STYLE, style));
    assets
});

fn asset(name: &str, bytes: Vec<u8>) -> Asset {
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    };
    let mut hash = hex::encode(secret::sha256(&bytes));
    hash.truncate(16);
    let packed = pack(&bytes).filter(|it| it.len() < bytes.len()).map(Bytes::from);
    Asset { hash, kind, bytes: bytes.into(), packed }
}

/// Done once per process, so compressed as small as possible.
fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(bytes).ok()?;
    writer.finish().ok()
}

impl Asset {
    /// What is sent to a client with this `Accept-Encoding`, with its tag and encoding: to a cache, two
    /// encodings of a file are two things.
    fn form(&self, accepted: &AcceptEncoding) -> (&Bytes, EntityTag, Option<Encoding>) {
        let known = [Encoding::gzip(), Encoding::identity()];
        match &self.packed {
            Some(packed) if accepted.negotiate(known.iter()) == Some(Encoding::gzip()) => {
                (packed, EntityTag::new_strong(format!("{}-gzip", self.hash)), Some(Encoding::gzip()))
            }
            _ => (&self.bytes, EntityTag::new_strong(self.hash.clone()), None),
        }
    }
}

/// The address of an asset, such as `app.css` or `js/refresh.js`.
pub fn url(name: &str) -> String {
    match ASSETS.get(name) {
        Some(asset) => format!("/static/{}/{name}", asset.hash),
        None => format!("/static/none/{name}"),
    }
}

/// The address of one of our scripts, by its name without the extension.
pub fn script(name: &str) -> String {
    url(&format!("js/{name}.js"))
}

/// The address of an icon in the sprite.
pub fn icon(name: &str) -> String {
    format!("{}#{name}", url("icons.svg"))
}

#[get("/static/{hash}/{name:.+}")]
async fn show(
    path: Path<(String, String)>,
    accepted: Option<Header<AcceptEncoding>>,
    known: Option<Header<IfNoneMatch>>,
) -> PageResult<HttpResponse> {
    let (_, name) = path.into_inner();
    let asset = ASSETS.get(&name).ok_or(Error::NotFound("file"))?;
    // An unreadable header counts as none: the uncompressed file suits everyone.
    let accepted = accepted.map_or_else(|| AcceptEncoding(Vec::new()), Header::into_inner);
    let (body, tag, coding) = asset.form(&accepted);
    let is_known = match known.map(Header::into_inner) {
        Some(IfNoneMatch::Items(tags)) => tags.iter().any(|it| it.weak_eq(&tag)),
        Some(IfNoneMatch::Any) => true,
        None => false,
    };
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")))
        .insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding")))
        .insert_header(header::ETag(tag))
        .insert_header((header::CONTENT_TYPE, asset.kind));
    if is_known {
        return Ok(response.finish());
    }
    if let Some(coding) = coding {
        response.insert_header((header::CONTENT_ENCODING, coding.to_string()));
    }
    Ok(response.body(body.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_that_a_template_names_is_in_the_sprite() {
        let sprite = std::str::from_utf8(&ASSETS["icons.svg"].bytes).unwrap();
        let mut missing = Vec::new();
        let mut folders = vec![std::path::PathBuf::from("templates")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for used in text.split("icon::icon(\"").skip(1) {
                    let name = used.split('"').next().unwrap();
                    if !sprite.contains(&format!("id=\"{name}\"")) {
                        missing.push(format!("{}: {name}", path.display()));
                    }
                }
            }
        }
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn styles_and_scripts_stay_within_their_size() {
        let size = |name: &str| ASSETS[name].packed.as_ref().map_or(ASSETS[name].bytes.len(), Bytes::len);
        assert!(size("app.css") < 12_000, "app.css: {}", size("app.css"));
        let scripts: Vec<_> = ASSETS.keys().filter(|name| name.starts_with("js/")).collect();
        let total: usize = scripts.iter().map(|name| size(name)).sum();
        assert!(total < 6_000, "{scripts:?}: {total}");
    }

    #[test]
    fn every_script_is_named_in_the_frame_of_the_pages() {
        let frame = std::fs::read_to_string("templates/base.html").unwrap();
        let named = frame.split("for script in [").nth(1).and_then(|it| it.split(']').next()).unwrap();
        let named: Vec<_> = named.split('"').skip(1).step_by(2).map(|name| format!("js/{name}.js")).collect();
        let ours: Vec<_> = ASSETS.keys().filter(|name| name.starts_with("js/")).cloned().collect();
        assert_eq!(named, ours);
    }
}
