//! What is written for OpenSSH (ssh_config(5)), and whether it is in force; and what stands there for a host.
//!
//! | file | decides |
//! |---|---|
//! | this one | the options for the chosen hosts, by the ways that ssh has to ask |
//! | [`quote`] | words in commands that ssh splits, and in those that a shell does |
//! | [`hosts`] | the chosen hosts as ssh matches them, and names to try |
//! | [`mod@include`] | the line that includes the file, in a configuration that is there |
//! | [`change`] | files before and after |
//! | [`installed`] | a file that was written earlier |
//! | [`accepted`] | the private known_hosts file of an ssh that has no KnownHostsCommand |
//! | [`line`], [`tree`] | what the lines of a configuration say, with the files that they include |
//! | [`evaluate`], [`token`] | what it says for a host: user, port, files of keys, agent |
//! | [`jump`] | ways to a host that lead through something else |

pub mod accepted;
pub mod change;
pub mod evaluate;
pub mod hosts;
pub mod include;
pub mod installed;
pub mod jump;
pub mod line;
pub mod quote;
pub mod token;
pub mod tree;

use std::fmt;

use self::hosts::Hosts;
use self::quote::{QuoteError, in_command, in_shell, in_value, shell_line};

/// A version of OpenSSH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Before the dot.
    pub major: u32,
    /// After it.
    pub minor: u32,
}

impl Version {
    /// The first with KnownHostsCommand, and the first to which `none` is no file of that name in
    /// UserKnownHostsFile and GlobalKnownHostsFile [read in its source and in that of 8.4].
    pub const KNOWN_HOSTS_COMMAND: Version = Version { major: 8, minor: 5 };

    /// From what `ssh -V` says; none for another client.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.trim_start().strip_prefix("OpenSSH_")?;
        let rest = rest.strip_prefix("for_Windows_").unwrap_or(rest);
        let (major, rest) = rest.split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(Version { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// KnownHostsCommand is there.
    pub fn asks_for_keys(self) -> bool {
        self >= Self::KNOWN_HOSTS_COMMAND
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// How ssh is made to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// `KnownHostsCommand` alone: ssh connects as ever, and asks for the keys.
    KnownHosts,
    /// `ProxyCommand` too: no key that is not proven gets as far as ssh.
    Proxy,
    /// `ProxyCommand` before an ssh without KnownHostsCommand: the proxy writes the key that it lets through into
    /// this file, which is all that ssh knows. It begins with `/` or `~/`.
    ProxyWithFile(String),
}

impl Way {
    /// A stable word for scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::KnownHosts => "known-hosts",
            Self::Proxy => "proxy",
            Self::ProxyWithFile(_) => "proxy-with-file",
        }
    }
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// This program's version.
    pub version: String,
    /// The command line that writes the same again.
    pub again: Vec<String>,
    /// The hosts.
    pub hosts: Hosts,
    /// The way.
    pub way: Way,
    /// The absolute path of this program.
    pub program: String,
    /// Options before its command, and those behind it.
    pub options: [Vec<String>; 2],
}

/// The tokens of KnownHostsCommand that `sshanchor known-hosts` takes.
const TOKENS: &str = "known-hosts %I %H %t %K %k %p";

/// The options that leave ssh no other way to a key. With `none`, ssh refuses what no command tells it even
/// under a `StrictHostKeyChecking no` of the command line; with `/dev/null` it would accept it [measured].
const SEALED: [(&str, &str); 7] = [
    ("StrictHostKeyChecking", "yes"),
    ("UserKnownHostsFile", "none"),
    ("GlobalKnownHostsFile", "none"),
    // With yes and a forged AD bit no command is asked.
    ("VerifyHostKeyDNS", "no"),
    ("CheckHostIP", "no"),
    ("NoHostAuthenticationForLocalhost", "no"),
    ("UpdateHostKeys", "no"),
];

impl Wanted {
    /// The options for the hosts, as they stand in the file.
    pub fn options(&self) -> Result<Vec<(&'static str, String)>, QuoteError> {
        let mut options = Vec::new();
        match &self.way {
            Way::KnownHosts => options.push(("KnownHostsCommand", self.known_hosts_command()?)),
            Way::Proxy => {
                options.push(("ProxyCommand", self.proxy_command(None)?));
                options.push(("KnownHostsCommand", self.known_hosts_command()?));
            }
            Way::ProxyWithFile(file) => options.push(("ProxyCommand", self.proxy_command(Some(file))?)),
        }
        for (keyword, value) in SEALED {
            let value = match (&self.way, keyword) {
                (Way::ProxyWithFile(file), "UserKnownHostsFile") => in_value(file)?,
                // To an old ssh `none` is a file of that name, in whatever folder it is started.
                (Way::ProxyWithFile(_), "GlobalKnownHostsFile") => "/dev/null".to_owned(),
                _ => value.to_owned(),
            };
            options.push((keyword, value));
        }
        Ok(options)
    }

    /// The whole file. `Match host` and not `Host`, which takes names in capitals past every pattern.
    pub fn text(&self) -> Result<String, QuoteError> {
        let mut text = format!(
            "{}{}: ssh proves the keys of these hosts from DNSSEC\n{}{}\nMatch host {}\n",
            installed::HEAD,
            self.version,
            installed::AGAIN,
            shell_line(&self.again)?,
            self.hosts.match_list()
        );
        for (keyword, value) in self.options()? {
            text += &format!("    {keyword} {value}\n");
        }
        Ok(text)
    }

    fn known_hosts_command(&self) -> Result<String, QuoteError> {
        let [before, behind] = &self.options;
        let arguments = before.iter().map(|word| in_command(word)).collect::<Result<Vec<_>, _>>()?;
        let more = behind.iter().map(|word| in_command(word)).collect::<Result<Vec<_>, _>>()?;
        let (command, tokens) = TOKENS.split_once(' ').unwrap_or((TOKENS, ""));
        // In the program's path ssh replaces nothing.
        let program = quote::program(&self.program)?;
        let words = [vec![program], arguments, vec![command.to_owned()], more, vec![tokens.to_owned()]];
        Ok(words.concat().join(" "))
    }

    fn proxy_command(&self, file: Option<&str>) -> Result<String, QuoteError> {
        let shell = |words: &[String]| words.iter().map(|word| in_shell(word)).collect::<Result<Vec<_>, _>>();
        let [before, behind] = &self.options;
        let mut words = vec![in_shell(&self.program)?];
        words.extend(shell(before)?);
        words.push("proxy".to_owned());
        words.extend(shell(behind)?);
        if let Some(file) = file {
            words.push("--known-hosts-file".to_owned());
            words.push(match file.strip_prefix("~/") {
                // The shell puts the home in where nothing is quoted.
                Some(rest) => format!("~/{}", in_shell(rest)?),
                None => in_shell(file)?,
            });
        }
        // ssh before 9.6 takes names with a shell's characters; quotes hold most of them.
        words.push("'%h' %p".to_owned());
        Ok(words.join(" "))
    }
}

#[cfg(test)]
mod tests;
