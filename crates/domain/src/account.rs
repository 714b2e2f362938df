//! People's accounts: who may sign in, when to try again, and which passwords are good enough.
use crate::text::text_enum;
use crate::time::{Time, days, hours, minutes};
use std::time::Duration;

text_enum! {
    /// The state of an account.
    UserState { Invited = "invited", Active = "active", Disabled = "disabled" }
}

text_enum! {
    /// What a one-time link is for.
    LinkPurpose { SetUp = "set_up", Invite = "invite" }
}

/// A set-up link creates the owner, so it is short-lived.
pub const SET_UP_LINK_LIFE: Duration = hours(1);
/// An invited person may be on holiday.
pub const INVITE_LINK_LIFE: Duration = days(7);
/// A session ends after this, whatever happens in it.
pub const SESSION_LIFE: Duration = hours(8);
/// A session ends after this long without activity.
pub const SESSION_IDLE: Duration = minutes(30);
/// How long an entered password counts as fresh.
pub const FRESH_PASSWORD: Duration = minutes(15);
/// The longest life of an API token.
pub const MAX_API_TOKEN_DAYS: i64 = 90;

/// Whether a session with these times is still valid at `now`.
///
/// A clock set back by more than a minute ends it too: then nobody knows how old it is.
pub fn session_holds(created_at: Time, last_seen_at: Time, now: Time) -> bool {
    now < created_at + SESSION_LIFE && now < last_seen_at + SESSION_IDLE && now + minutes(1) >= created_at
}

/// How long an account waits after its `failures`-th wrong password: 1, 2, 4 … 900 s.
pub fn delay_after(failures: i64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 10)).unwrap_or(0);
    Duration::from_secs((1_u64 << doublings).min(900))
}

/// How long an account still waits after its `failures`-th wrong password; none if it may be tried.
///
/// More than the whole delay means that the clock was set back; waiting for the old time would lock everybody out.
pub fn still_waits(failures: i64, not_before_at: Time, now: Time) -> Option<Duration> {
    let wait = not_before_at.since(now);
    (!wait.is_zero() && wait <= delay_after(failures)).then_some(wait)
}

/// The shortest password; the same for every role, so that a role granted later does not meet a weak password.
pub const MIN_PASSWORD: usize = 15;
/// The longest password; anything longer only costs the server work.
pub const MAX_PASSWORD: usize = 128;

/// Says what is wrong with a new password.
///
/// # Errors
/// What the person reads.
pub fn check_password(password: &str, email: &str) -> Result<(), String> {
    let length = password.chars().count();
    if length < MIN_PASSWORD {
        return Err(format!(
            "Use at least {MIN_PASSWORD} characters; four unrelated words are easy to remember. This has {length}."
        ));
    }
    if length > MAX_PASSWORD {
        return Err(format!("Use at most {MAX_PASSWORD} characters. This has {length}."));
    }
    let letters = |text: &str| -> String { text.to_lowercase().chars().filter(|it| it.is_alphanumeric()).collect() };
    let plain = letters(password);
    let person = letters(email.split('@').next().unwrap_or_default());
    if person.len() >= 4 && plain.replace(&person, "").chars().count() < 8 {
        return Err("This is little more than your address. Use something that has nothing to do with it.".to_owned());
    }
    if is_common(&plain) {
        return Err("This is one of the first passwords an attacker tries. Use four unrelated words.".to_owned());
    }
    Ok(())
}

/// Whether a password, lower-case letters and digits only, is a common one, possibly repeated, extended with
/// digits, or combined from two of them.
fn is_common(plain: &str) -> bool {
    let distinct: std::collections::BTreeSet<char> = plain.chars().collect();
    if distinct.len() < 5 || SEQUENCES.iter().any(|it| it.contains(plain)) {
        return true;
    }
    let mut rest = plain.trim_end_matches(|it: char| it.is_ascii_digit());
    // Longest first, so that "password" goes before "pass".
    let mut words: Vec<&str> = COMMON.split_whitespace().collect();
    words.sort_by_key(|it| std::cmp::Reverse(it.len()));
    while let Some(word) = words.iter().find(|it| rest.starts_with(**it)) {
        rest = rest.get(word.len()..).unwrap_or_default();
        rest = rest.trim_start_matches(|it: char| it.is_ascii_digit());
    }
    rest.len() < 4
}

const SEQUENCES: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789012345678901234567890",
    "98765432109876543210987654321098765432109",
    "qwertyuiopasdfghjklzxcvbnm1234567890qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
];

/// The words that top every published list of leaked passwords.
const COMMON: &str = "password passwort passw0rd p4ssword pass word qwerty qwertz qwertyuiop azerty asdf asdfgh \
    asdfghjkl zxcvbn zxcvbnm letmein welcome welcome1 admin administrator root login master superman batman \
    iloveyou sunshine princess football baseball basketball soccer hockey monkey dragon shadow michael jordan \
    jennifer jessica ashley daniel charlie thomas robert matthew andrew joshua anthony william hunter killer \
    trustno whatever freedom summer winter spring autumn secret access mustang starwars pokemon minecraft \
    computer internet samsung google apple iphone android windows microsoft linux ubuntu test testing tester \
    demo guest user default changeme change temp temporary hello hallo bonjour love lovely flower cheese cookie \
    banana chocolate pepper ginger tigger buster maggie bailey harley ranger yankees dallas austin london paris \
    berlin america england germany france december november october september august july june april march \
    february january monday tuesday wednesday thursday friday saturday sunday abc abcd abcdef abcdefg onetwothree \
    liverpool arsenal chelsea barcelona realmadrid jesus christ angel angels blessed heaven family mother father \
    brother sister baby babygirl nothing something anything please company backup restore holdfast mobile device \
    manager correcthorsebatterystaple thisismypassword mypassword my the is a an and your me i";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_password_doubles_the_wait_up_to_a_quarter_of_an_hour() {
        let waits: Vec<u64> = (1..=12).map(|it| delay_after(it).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(delay_after(i64::MAX).as_secs(), 900);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let until = Time::from_millis(1_800_000_000_000);
        let second = Duration::from_secs(1);
        assert_eq!(still_waits(3, until, until - second), Some(second));
        assert_eq!(still_waits(3, until, until - second * 4), Some(second * 4), "the whole delay");
        assert_eq!(still_waits(3, until, until), None);
        assert_eq!(still_waits(3, until, until - second * 5), None);
        assert_eq!(still_waits(3, until, until - days(400)), None);
    }

    #[test]
    fn a_session_ends_by_age_by_idleness_and_by_a_clock_that_went_back() {
        let start = Time::from_millis(1_800_000_000_000);
        for (seen, now, holds) in [
            (start, start + minutes(29), true),
            (start, start + minutes(30), false),
            (start + hours(7), start + hours(7) + minutes(29), true),
            (start + hours(8) - minutes(1), start + hours(8), false),
            (start, start - hours(1), false),
        ] {
            assert_eq!(session_holds(start, seen, now), holds, "{seen:?} {now:?}");
        }
    }

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        for weak in [
            "short",
            "passwordpassword1",
            "Password123456789!",
            "aaaaaaaaaaaaaaaaaaaa",
            "qwertyuiopasdfgh",
            "123456789012345678",
            "correct horse battery staple",
            "ada.lovelace2026",
            "welcomeadmin2026",
        ] {
            assert!(check_password(weak, "ada.lovelace@example.org").is_err(), "{weak}");
        }
        assert!(check_password(&"ab1 ".repeat(40), "a@example.org").is_err(), "too long");
    }

    #[test]
    fn four_unrelated_words_are_a_good_password() {
        for good in ["lantern gravel oboe tuesday", "Zx8#kd0-Lq2!vbN4s", "ölkanne wimpel grütze"] {
            assert_eq!(check_password(good, "ada@example.org"), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_clock_that_is_a_little_behind_ends_no_session() {
        let start = Time::from_millis(1_800_000_000_000);
        assert!(session_holds(start, start, start - minutes(1)));
        assert!(!session_holds(start, start, start - minutes(2)));
    }

    #[test]
    fn a_password_has_15_to_128_characters() {
        let of = |count| check_password(&"lantern gravel oboe ".repeat(9)[..count], "a@example.org");
        assert_eq!((of(15), of(128)), (Ok(()), Ok(())));
        assert!(of(14).unwrap_err().contains("at least 15"));
        for count in [129, 150] {
            assert!(of(count).unwrap_err().contains("at most 128"));
        }
    }

    #[test]
    fn a_password_holds_eight_letters_that_are_not_of_the_address() {
        let of = |password| check_password(password, "grace@example.org");
        assert_eq!(of("grace--lantern7"), Ok(()));
        assert!(of("grace---lantern").unwrap_err().contains("your address"));
        assert_eq!(of("lantern gravel oboe"), Ok(()), "nothing of the address");
        assert_eq!(
            check_password("ada--wimpel-7--", "ada@example.org"),
            Ok(()),
            "a name of three letters is in many words"
        );
    }

    #[test]
    fn a_password_of_common_words_leaves_four_letters_of_its_own() {
        let of = |password| check_password(password, "a@example.org");
        assert_eq!(of("passwordsunshineklmx"), Ok(()));
        assert!(of("passwordsunshineklm").is_err());
        assert_eq!(of("kobrakobrakobra"), Ok(()), "five different letters");
        assert!(of("lolalolalolalola").is_err());
    }
}
