//! What a configuration says for a host: the first value of each option counts, and of files all.
//!
//! Where that cannot be told without running something (`Match exec`, CanonicalizeHostname) or reading what another
//! version of ssh may read otherwise, the outcome is [`AskSsh`]: `ssh -G` knows.

use super::jump::Jump;
use super::tree::{Criterion, Directive, Keyword, Of};
use crate::proto::pattern::spans;

/// Most files of one kind (SSH_MAX_IDENTITY_FILES, SSH_MAX_CERTIFICATE_FILES).
const MAX_FILES: usize = 100;

/// Whom it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The host as it was typed.
    pub host: &'a str,
    /// Who logs in, if somebody is named: before all that the configuration says.
    pub user: Option<&'a str>,
    /// Who is here.
    pub local_user: &'a str,
}

/// What is said, with all tokens in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// HostName.
    pub host_name: Option<String>,
    /// HostKeyAlias.
    pub host_key_alias: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// IdentityFile; a `none` among them is no file, and keeps the default ones away.
    pub identities: Vec<String>,
    /// CertificateFile.
    pub certificates: Vec<String>,
    /// IdentityAgent.
    pub agent: Option<String>,
    /// IdentitiesOnly.
    pub identities_only: Option<bool>,
    /// The first ProxyJump or ProxyCommand: where it leads through.
    pub proxy: Option<Proxy>,
}

/// What one ProxyJump or ProxyCommand comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// The host is connected to directly, whatever else is said.
    Direct,
    /// No later ProxyJump counts; a ProxyCommand does (OpenSSH 9.2).
    NoJump,
    /// It leads through something else.
    Through(Jump),
}

/// ssh alone can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ssh alone can tell")]
pub struct AskSsh;

/// Whether what a block says counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Active {
    Yes,
    No,
    Unknown,
}

/// What `files` say, the user's before the system's.
pub fn evaluate(files: &[Vec<Directive>], asked: &Asked<'_>) -> Result<Said, AskSsh> {
    let (said, is_whole) = walk_all(files, asked);
    if is_whole { Ok(said) } else { Err(AskSsh) }
}

/// The way through something else alone; what ssh alone can tell is passed over.
pub fn jump(files: &[Vec<Directive>], asked: &Asked<'_>) -> Option<Jump> {
    walk_all(files, asked).0.jump().cloned()
}

fn walk_all(files: &[Vec<Directive>], asked: &Asked<'_>) -> (Said, bool) {
    let (mut said, mut is_whole) = (Said::default(), true);
    for file in files {
        is_whole &= walk(file, asked, Active::Yes, &mut said);
    }
    (said, is_whole)
}

/// One file, which is included where `outer` says. False if something was passed over that ssh alone can tell.
fn walk(file: &[Directive], asked: &Asked<'_>, outer: Active, said: &mut Said) -> bool {
    let (mut active, mut is_whole) = (outer, true);
    for directive in file {
        match directive {
            // Whatever counts nowhere is not looked at.
            _ if outer == Active::No => return is_whole,
            Directive::Host(patterns) => active = within(outer, of_host(patterns, asked.host)),
            Directive::Match(criteria) => active = within(outer, meets(criteria, asked, said)),
            Directive::Include(files) => {
                for file in files {
                    is_whole &= walk(file, asked, active, said);
                }
            }
            Directive::Unread => is_whole = false,
            Directive::Option(..) if active == Active::No => {}
            Directive::Option(keyword @ (Keyword::ProxyJump | Keyword::ProxyCommand), words) => {
                said.take_proxy(*keyword, words, active == Active::Yes);
            }
            Directive::Option(keyword, words) => {
                let value = words.first().map(String::as_str).unwrap_or_default();
                let mut new = said.clone();
                match new.take(*keyword, value) {
                    Ok(()) if active == Active::Yes || new == *said => *said = new,
                    _ => is_whole = false,
                }
            }
        }
    }
    is_whole
}

fn within(outer: Active, inner: Active) -> Active {
    match (outer, inner) {
        (Active::No, _) | (_, Active::No) => Active::No,
        (Active::Yes, Active::Yes) => Active::Yes,
        _ => Active::Unknown,
    }
}

/// One pattern matches, and none that is negated. Case counts, as ssh has it.
fn of_host(patterns: &[String], host: &str) -> Active {
    let matches = |pattern: &str| spans(pattern.as_bytes(), host.as_bytes());
    let mut is_matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(unwanted) if matches(unwanted) => return Active::No,
            Some(_) => {}
            None => is_matched |= matches(pattern),
        }
    }
    if is_matched { Active::Yes } else { Active::No }
}

fn meets(criteria: &[Criterion], asked: &Asked<'_>, said: &Said) -> Active {
    let mut active = Active::Yes;
    for Criterion { is_negated, of } in criteria {
        let is_met = match of {
            Of::All => true,
            Of::Host(list) => match &said.host_name {
                None => in_list(list, asked.host, true),
                Some(name) => match expand_host(name, asked.host) {
                    Some(name) => in_list(list, &name, true),
                    None => {
                        active = Active::Unknown;
                        continue;
                    }
                },
            },
            Of::OriginalHost(list) => in_list(list, asked.host, true),
            Of::User(list) => {
                let user = asked.user.or(said.user.as_deref()).unwrap_or(asked.local_user);
                in_list(list, user, false)
            }
            Of::LocalUser(list) => in_list(list, asked.local_user, false),
            Of::Other => {
                active = Active::Unknown;
                continue;
            }
        };
        if is_met == *is_negated {
            return Active::No;
        }
    }
    active
}

/// HostName with the host in the place of `%h`; none if there are other tokens.
pub fn expand_host(name: &str, host: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut letters = name.chars();
    while let Some(c) = letters.next() {
        match c {
            '%' => match letters.next()? {
                '%' => out.push('%'),
                'h' => out += host,
                _ => return None,
            },
            c => out.push(c),
        }
    }
    (!name.contains("${")).then_some(out)
}

/// A list with commas: one pattern matches, and none that is negated.
fn in_list(list: &str, text: &str, is_host: bool) -> bool {
    let lower = |text: &str| if is_host { text.to_ascii_lowercase() } else { text.to_owned() };
    let patterns: Vec<String> = list.split(',').map(lower).collect();
    of_host(&patterns, &lower(text)) == Active::Yes
}

impl Said {
    /// One option: the first value of each counts.
    fn take(&mut self, keyword: Keyword, value: &str) -> Result<(), AskSsh> {
        let text = |slot: &mut Option<String>| {
            slot.get_or_insert_with(|| value.to_owned());
        };
        match keyword {
            Keyword::HostName => text(&mut self.host_name),
            Keyword::HostKeyAlias => text(&mut self.host_key_alias),
            // Later versions replace tokens in it.
            Keyword::User if value.contains('%') || value.contains("${") => return Err(AskSsh),
            Keyword::User => text(&mut self.user),
            Keyword::IdentityAgent => text(&mut self.agent),
            Keyword::Port => {
                // ssh also takes names of services.
                let port = value.parse().ok().filter(|port| *port > 0).ok_or(AskSsh)?;
                self.port.get_or_insert(port);
            }
            Keyword::IdentitiesOnly => {
                let only = match value {
                    "yes" | "true" => true,
                    "no" | "false" => false,
                    _ => return Err(AskSsh),
                };
                self.identities_only.get_or_insert(only);
            }
            Keyword::CanonicalizeHostname if ["no", "false"].contains(&value) => {}
            Keyword::CanonicalizeHostname => return Err(AskSsh),
            Keyword::IdentityFile => add(&mut self.identities, value)?,
            Keyword::CertificateFile => add(&mut self.certificates, value)?,
            // They are taken with all of their words.
            Keyword::ProxyJump | Keyword::ProxyCommand => {}
        }
        Ok(())
    }

    /// The first of both counts. Where ssh alone can tell whether it counts (`Match exec`), ssh is not asked: what comes
    /// later may count as well.
    fn take_proxy(&mut self, keyword: Keyword, words: &[String], is_sure: bool) {
        let is_open = match &self.proxy {
            None => true,
            Some(Proxy::Through(jump)) => !jump.is_sure && is_sure,
            Some(Proxy::NoJump) => keyword == Keyword::ProxyCommand,
            Some(Proxy::Direct) => false,
        };
        if !is_open {
            return;
        }
        let jump = match keyword {
            Keyword::ProxyJump => Jump::host(words.first().map(String::as_str).unwrap_or_default(), is_sure),
            _ => Jump::command_of(words, is_sure),
        };
        match jump {
            Some(jump) => self.proxy = Some(Proxy::Through(jump)),
            // What went before may count still.
            None if !is_sure || matches!(self.proxy, Some(Proxy::Through(_))) => {}
            None if keyword == Keyword::ProxyJump => self.proxy = Some(Proxy::NoJump),
            None => self.proxy = Some(Proxy::Direct),
        }
    }

    /// Where ssh goes through, if it does.
    pub fn jump(&self) -> Option<&Jump> {
        match &self.proxy {
            Some(Proxy::Through(jump)) => Some(jump),
            Some(Proxy::Direct | Proxy::NoJump) | None => None,
        }
    }
}

fn add(files: &mut Vec<String>, file: &str) -> Result<(), AskSsh> {
    if file.is_empty() || files.len() >= MAX_FILES {
        return Err(AskSsh);
    }
    if !files.iter().any(|other| other == file) {
        files.push(file.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tree::read;
    use super::*;

    fn said(text: &str, host: &str) -> Result<Said, AskSsh> {
        let included = "User included\nHost b\nPort 44\n";
        let file = read(text, |words| match words.first().map(String::as_str) {
            Some("one") => Some(vec![read(included, |_| None)]),
            _ => None,
        });
        evaluate(&[file], &Asked { host, user: None, local_user: "me" })
    }

    #[test]
    fn an_included_file_counts_where_it_is_included() {
        let text = "Host a b\nInclude one\nIdentityFile x\nHost *\nUser other\nInclude one\n";
        let of_b = said(text, "b").unwrap();
        // Behind the included file goes on what was before it.
        assert_eq!((of_b.user.as_deref(), of_b.port), (Some("included"), Some(44)));
        assert_eq!(of_b.identities, ["x"]);
        let of_c = said(text, "c").unwrap();
        assert_eq!((of_c.user.as_deref(), of_c.port, of_c.identities.len()), (Some("other"), None, 0));
    }

    #[test]
    fn what_ssh_alone_can_tell_is_left_to_it_and_nothing_else_is() {
        for text in [
            "Match exec true\nUser x\n",
            "Match host a exec true\nUser x\n",
            "Match final all\nIdentityFile x\n",
            "Match host=a\nUser x\n",
            "CanonicalizeHostname yes\n",
            "User %u\n",
            "Port ssh\n",
            "Include ~/%h\n",
            "User a b\n",
            "User \"a\n",
        ] {
            assert_eq!(said(text, "a"), Err(AskSsh), "{text}");
        }
        for text in [
            // What it says is nothing that counts here.
            "Match exec true\nProxyCommand nc %h %p\n",
            // It does not get so far.
            "Match host b exec true\nUser x\n",
            "Host b\nCanonicalizeHostname yes\nPort ssh\nUser %u\n",
            // The first value counts.
            "Host a\nUser y\nPort 4\nMatch exec true\nUser x\nPort 5\n",
            "CanonicalizeHostname no\nLocalForward 1 2\n",
        ] {
            assert!(said(text, "a").is_ok(), "{text}");
        }
    }

    #[test]
    fn a_way_through_something_else_is_found_behind_what_ssh_alone_can_tell() {
        for (text, by) in [
            ("Port ssh\nUser %u\nProxyJump gate\n", Some("ProxyJump gate")),
            ("Match exec true\nUser x\nHost *\nProxyJump gate\n", Some("ProxyJump gate")),
            ("Include ~/%h\nHost b\nProxyJump gate\n", None),
        ] {
            let file = read(text, |_| None);
            let found = jump(&[file], &Asked { host: "a", user: None, local_user: "me" });
            assert_eq!(found.map(|jump| jump.by).as_deref(), by, "{text}");
        }
    }

    #[test]
    fn the_first_way_through_something_else_counts() {
        let through = |text: &str| {
            let said = said(text, "a").unwrap();
            said.jump().map(|jump| format!("{}{}", jump.by, if jump.is_sure { "" } else { "?" }))
        };
        for (text, jump) in [
            ("ProxyJump b\nProxyCommand nc %h %p\n", Some("ProxyJump b")),
            ("ProxyCommand nc %h %p # x\nProxyJump b\n", Some("ProxyCommand nc %h %p")),
            ("Host a\nProxyJump none\nHost *\nProxyJump b\n", None),
            ("ProxyJump none\nProxyCommand nc %h %p\n", Some("ProxyCommand nc %h %p")),
            ("ProxyCommand none\nProxyCommand nc %h %p\nProxyJump b\n", None),
            ("Host b\nProxyJump c\n", None),
            ("ProxyCommand \"/usr/bin/sshanchor\" proxy %h %p\nProxyJump b\n", None),
            // Nobody is asked whether it does.
            ("Match exec true\nProxyJump b\n", Some("ProxyJump b?")),
            ("Match exec true\nProxyJump b\nMatch all\nProxyJump c\n", Some("ProxyJump c")),
            ("Match exec true\nProxyJump none\nMatch all\nProxyJump c\n", Some("ProxyJump c")),
            ("Match exec true\nProxyJump b\nMatch all\nProxyJump none\n", Some("ProxyJump b?")),
            ("User x\n", None),
        ] {
            assert_eq!(through(text).as_deref(), jump, "{text}");
        }
    }

    #[test]
    fn host_name_takes_the_name_in() {
        assert_eq!(expand_host("%h.example.com", "web1").as_deref(), Some("web1.example.com"));
        assert_eq!(expand_host("100%%", "web1").as_deref(), Some("100%"));
        for unknown in ["%p", "%", "${HOME}"] {
            assert_eq!(expand_host(unknown, "web1"), None, "{unknown}");
        }
    }
}
