//! How pages look in one browser: kept in a cookie, so that it works before sign-in and without scripts.

/// Theme and density; "" means the operating system's choice and the usual density.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    pub theme: &'static str,
    pub density: &'static str,
}

/// The themes with their names.
pub const THEMES: [(&str, &str); 3] = [("", "Same as the system"), ("light", "Light"), ("dark", "Dark")];

/// The densities with their names.
pub const DENSITIES: [(&str, &str); 2] = [("", "Comfortable"), ("compact", "Compact")];

impl Look {
    /// What a form or a cookie says; an unknown word means the usual look.
    pub fn new(theme: &str, density: &str) -> Self {
        Self { theme: known(&THEMES, theme), density: known(&DENSITIES, density) }
    }

    /// Reads a cookie's value.
    pub fn parse(cookie: &str) -> Self {
        let (theme, density) = cookie.split_once('.').unwrap_or_default();
        Self::new(theme, density)
    }

    /// The value of the cookie.
    pub fn value(self) -> String {
        format!("{}.{}", self.theme, self.density)
    }
}

fn known(words: &[(&'static str, &str)], word: &str) -> &'static str {
    words.iter().find(|(it, _)| *it == word).map_or("", |(it, _)| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_says_only_what_is_known() {
        let dark = Look::new("dark", "compact");
        assert_eq!(Look::parse(&dark.value()), dark);
        assert_eq!(Look::parse("\" onload=x.compact"), Look::new("", "compact"));
        assert_eq!(Look::parse(""), Look::default());
    }
}
