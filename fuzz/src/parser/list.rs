//! What an address may ask of a list: views, orders, places in it, spans of time.
use super::{ID, NOW};
use domain::time::Time;
use holdfast::store::device_list::{Cursor, Sort, View};
use holdfast::web::form::local;
use holdfast::web::look::Look;
use holdfast::zone::Zone;

pub fn seeds() -> Vec<Vec<u8>> {
    let places = [format!("5~1795356371000~{ID}"), format!("a~laptop~{ID}")].map(String::into_bytes);
    let words =
        ["failed", "worst", "2026-11-29", "2026-11-29T14:06", "2026-03-29T02:59", "/devices?q=a", "dark.compact"];
    [super::bytes(words), places.to_vec()].concat()
}

pub fn check(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (view, sort) = (View::parse(text), Sort::parse(text));
    assert!(view.is_none_or(|it| it.as_str() == text) && sort.is_none_or(|it| it.as_str() == text));
    let to = local(text);
    assert!(to == "/" || to == text && to.starts_with('/') && !to.starts_with("//"), "to another server: {to}");
    let look = Look::parse(text);
    assert_eq!(Look::parse(&look.value()), look);
    let is_one = view.is_some() || sort.is_some() || to == text || look != Look::default();
    // Neither may keep the other from being tried.
    [is_one, is_place(text), is_span(text)].contains(&true)
}

fn is_place(text: &str) -> bool {
    let places: Vec<_> = Sort::ALL.iter().filter_map(|sort| Some((*sort, Cursor::parse(*sort, text)?))).collect();
    for (sort, place) in &places {
        assert_eq!(Cursor::parse(*sort, &place.encode()).as_ref(), Some(place), "{sort:?}");
    }
    !places.is_empty()
}

fn is_span(text: &str) -> bool {
    let now = Time::from_millis(NOW * 1000);
    let spans = ["UTC", "Europe/Paris", "Pacific/Apia", text].map(|name| {
        let zone = Zone::new(name, now);
        let (start, end) = (zone.start_of(text)?, zone.end_of(text)?);
        // A day that a zone left out is empty.
        assert!(start <= end, "{name}: {text} ends before it begins");
        let _ = (zone.short(start), zone.full(end), zone.field(start));
        Some(())
    });
    spans.iter().any(Option::is_some)
}
