//! Which From addresses a login may use.

use crate::milter::pattern;

/// The table `[sender_login]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SenderLogins {
    entries: Vec<(String, Vec<String>)>,
}

impl SenderLogins {
    /// The table of these logins (patterns) and what each may use.
    pub fn new(entries: impl IntoIterator<Item = (String, Vec<String>)>) -> SenderLogins {
        let fold = |(login, may): (String, Vec<String>)| {
            let may = may.iter().map(|address| folded(address)).collect();
            (login.to_ascii_lowercase(), may)
        };
        SenderLogins {
            entries: entries.into_iter().map(fold).collect(),
        }
    }

    /// Whether `login` may use `author`, an address with its domain in A-labels. Letter case does not count.
    ///
    /// ```
    /// use dkimkit::milter::config::SenderLogins;
    /// let may = |addresses: &[&str]| addresses.iter().map(|a| (*a).to_owned()).collect();
    /// let table = SenderLogins::new([
    ///     ("anna".to_owned(), may(&["anna@example.com", "example.org"])),
    ///     ("*@example.com".to_owned(), may(&["{login}", "{user}+*@example.com"])),
    /// ]);
    /// assert!(table.allows("anna", "Anna@example.com"));
    /// assert!(table.allows("anna", "any@example.org"));
    /// assert!(!table.allows("anna", "any@sub.example.org"));
    /// assert!(table.allows("carl@example.com", "carl+x@example.com"));
    /// assert!(!table.allows("carl@example.com", "anna@example.com"));
    /// ```
    pub fn allows(&self, login: &str, author: &str) -> bool {
        // Beyond ASCII, letters of other alphabets would become those of somebody else's login.
        let (login, author) = (login.to_ascii_lowercase(), author.to_ascii_lowercase());
        let entries = self.entries.iter();
        let mut mine = entries.filter(|(pattern, _)| pattern::is_match(pattern, &login));
        mine.any(|(_, may)| may.iter().any(|may| matches(may, &login, &author)))
    }
}

fn matches(may: &str, login: &str, author: &str) -> bool {
    if !may.contains('{') {
        return pattern::is_match(may, author);
    }
    // A star in a login is a star, not any text.
    if login.contains('*') {
        return false;
    }
    let user = login.split('@').next().unwrap_or_default();
    let may = may.replace("{login}", login).replace("{user}", user);
    // A login that is no address must not become a domain. It may have U-labels, the author has none.
    may.contains('@') && pattern::is_match(&folded(&may), author)
}

/// An address in small letters, its domain in A-labels; a name without `@` is a domain.
fn folded(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    let (local, domain) = match text.rsplit_once('@') {
        Some(parts) => parts,
        // A login in its place tells its own.
        None if text.contains('{') => return text,
        None => ("*", text.as_str()),
    };
    match crate::name::Domain::new(domain) {
        Ok(domain) => format!("{local}@{}", domain.as_ascii()),
        Err(_) => match domain.strip_prefix('.') {
            Some(bare) => format!("{local}@*.{bare}"),
            None => format!("{local}@{domain}"),
        },
    }
}
