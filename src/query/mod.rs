//! What follows `?` in the addresses of lists: a filter means the same on a page and in the API.
pub mod activity;
pub mod command;
pub mod device;
pub mod disaster;
pub mod restore_point;
pub mod restore_point_list;
pub mod restore_test;
pub mod wipe;

use domain::fields::FieldErrors;

/// A filter's value; none if it is not set. An invalid value is an error: a list must not show more than it was
/// asked for.
pub fn filter<T>(
    text: &str,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
    errors: &mut FieldErrors,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let value = parse(text);
    if value.is_none() {
        errors.add(name, "Not a valid filter value. Choose one from the list.");
    }
    value
}
