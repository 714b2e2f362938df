//! Forms: what was typed, what is wrong with it, and where to go back to.
//!
//! A form is a `*Form` struct that serde reads, with `parse() -> Result<value, FieldErrors>`;
//! if that fails, the handler renders the same page with the errors and what was typed, using [`again`]. What a
//! rule or the current state refuses is shown the same way, using [`refusal`].
use crate::error::{Error, FieldErrors};
use crate::problem::Problem;
use crate::web::PageResult;
use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use anyhow::Context;
use askama::Template;
use domain::name::{NOT_PLAIN, is_plain};
use std::time::Duration;

/// A posted form as names and values, for forms with several boxes of one name.
pub type Pairs = Vec<(String, String)>;

/// The first value of a name.
pub fn value<'a>(pairs: &'a Pairs, name: &str) -> &'a str {
    pairs.iter().find(|(it, _)| it == name).map_or("", |(_, value)| value.as_str())
}

/// Every value of a name.
pub fn values<'a>(pairs: &'a Pairs, name: &'a str) -> impl Iterator<Item = &'a str> {
    pairs.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.as_str())
}

/// A required text of at most `max` characters.
pub fn required(text: &str, field: &'static str, max: usize, errors: &mut FieldErrors) -> String {
    let text = text.trim();
    if text.is_empty() {
        errors.add(field, "Fill this in.");
    }
    optional(text, field, max, errors)
}

/// A text of at most `max` characters.
pub fn optional(text: &str, field: &'static str, max: usize, errors: &mut FieldErrors) -> String {
    let text = text.trim();
    let length = text.chars().count();
    if length > max {
        errors.add(field, format!("Use at most {max} characters. This has {length}."));
    }
    if !is_plain(text) {
        errors.add(field, NOT_PLAIN);
    }
    text.to_owned()
}

/// A whole number within limits.
pub fn number(text: &str, field: &'static str, limits: std::ops::RangeInclusive<i64>, errors: &mut FieldErrors) -> i64 {
    match text.trim().parse() {
        Ok(number) if limits.contains(&number) => number,
        _ => {
            errors.add(field, format!("Enter a whole number from {} to {}.", limits.start(), limits.end()));
            *limits.start()
        }
    }
}

/// Whether somebody may decide on what a page shows, or why not; empty where it does not concern them.
///
/// # Errors
/// When nobody could find out.
pub fn verdict(asked: crate::error::Result<()>) -> crate::error::Result<Result<(), String>> {
    match asked {
        Ok(()) => Ok(Ok(())),
        Err(Error::Refused(why) | Error::Conflict(why)) => Ok(Err(why)),
        Err(Error::Forbidden | Error::NotFound(_)) => Ok(Err(String::new())),
        Err(other) => Err(other),
    }
}

/// A text as part of an address.
pub fn encode(text: &str) -> String {
    serde_urlencoded::to_string([("", text)]).unwrap_or_default().trim_start_matches('=').to_owned()
}

/// A page of this server to go back to; the overview for anything else.
pub fn local(to: &str) -> &str {
    // Browsers drop control characters and treat a backslash as a slash: both can turn a path into a host.
    let is_local =
        to.starts_with('/') && !to.starts_with("//") && !to.contains(|it: char| it.is_control() || it == '\\');
    if is_local { to } else { "/" }
}

/// Shows a page again with what is wrong in it.
///
/// # Errors
/// When the template fails.
pub fn again(page: &impl Template) -> PageResult<HttpResponse> {
    with_status(page, StatusCode::UNPROCESSABLE_ENTITY)
}

/// The answer to a form that did nothing.
#[derive(Debug)]
pub struct Reshown {
    status: StatusCode,
    /// When trying again may help.
    wait: Option<Duration>,
}

/// What to say on the page of a form that did nothing, so that what was typed stays; what concerns no field is
/// under the name `form`.
///
/// # Errors
/// `error` itself if that page is not to be shown: there is nothing there, it is not allowed, or something
/// broke.
pub fn refusal(error: Error) -> Result<(FieldErrors, Reshown), Error> {
    let problem = Problem::from(&error);
    let (errors, wait) = match error {
        Error::Invalid(errors) => (errors, None),
        Error::Conflict(_) | Error::Refused(_) | Error::Full(_) => (whole(problem.advice), None),
        Error::TooMany(wait) | Error::Busy(wait) => {
            (whole(format!("{}. {}", problem.title, problem.advice)), Some(wait))
        }
        Error::NotFound(_)
        | Error::LinkGone
        | Error::SignInNeeded
        | Error::Forbidden
        | Error::DatabaseAway(_)
        | Error::StoreAway(_)
        | Error::Internal(_) => {
            return Err(error);
        }
    };
    Ok((errors, Reshown { status: problem.status, wait }))
}

fn whole(why: String) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.add("form", why);
    errors
}

impl Reshown {
    /// The status of the page that is shown again.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Shows the page again.
    ///
    /// # Errors
    /// When the template fails.
    pub fn again(&self, page: &impl Template) -> PageResult<HttpResponse> {
        let mut response = with_status(page, self.status)?;
        if let Some(wait) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
        }
        Ok(response)
    }
}

/// Shows a page under a status.
///
/// # Errors
/// When the template fails.
pub fn with_status(page: &impl Template, status: StatusCode) -> PageResult<HttpResponse> {
    let body = page.render().context("rendering a page")?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_ours_is_gone_back_to() {
        for (to, expected) in [
            ("/devices?q=a", "/devices?q=a"),
            ("https://evil.example", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("/\u{0}/evil.example", "/"),
            ("/\u{85}/evil.example", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(to), expected);
        }
    }

    #[test]
    fn a_number_outside_its_limits_is_named() {
        let mut errors = FieldErrors::new();
        assert_eq!(number("12", "a", 1..=20, &mut errors), 12);
        number("21", "b", 1..=20, &mut errors);
        number("x", "c", 1..=20, &mut errors);
        assert_eq!(errors.of("b"), Some("Enter a whole number from 1 to 20."));
        assert!(errors.of("c").is_some() && errors.of("a").is_none());
    }
}
