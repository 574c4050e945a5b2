//! How to get into a host: who logs in, at which port, with which keys. The command line comes first, then the
//! inventory, then ssh's own configuration, then what ssh does by default.
//!
//! ssh's configuration is read once and evaluated for each host here ([`crate::proto::ssh_config::evaluate`]); `ssh -G`
//! is started for a host only where nothing else can tell, as with `Match exec`. HostName is not followed: what is
//! proven, and where is connected to, is the host that was named. A way through something else (ProxyJump) is told, and
//! not gone.

use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::{User, getuid};

use super::Host;
use crate::error::Error;
use crate::proto::doctor::ssh::Config;
use crate::proto::ssh_config::evaluate::{Asked, Proxy, Said, evaluate, expand_host};
use crate::proto::ssh_config::jump::Jump;
use crate::proto::ssh_config::token::Tokens;
use crate::ssh::config::tree::{self, SshConfig, Which};
use crate::ssh::config::{AskSshError, of_user};

/// The port of ssh.
const SSH: u16 = 22;
/// Files of keys that ssh tries where none is configured, as `ssh -G` names them.
const DEFAULTS: &str = "~/.ssh/id_";

/// How to get into one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// Who logs in there.
    pub user: String,
    /// The port.
    pub port: u16,
    /// Files of keys that somebody named, the first to be tried first: they need not be there.
    pub identities: Vec<PathBuf>,
    /// Nobody named a file: those that ssh has by default are tried.
    pub has_default_identities: bool,
    /// Files of certificates, beside those that stand next to the keys.
    pub certificates: Vec<PathBuf>,
    /// Where ssh-agent listens.
    pub agent: AgentSocket,
    /// No key is tried but those of the files, even if ssh-agent holds others.
    pub identities_only: bool,
    /// ssh would go through something else.
    pub jump: Option<Jump>,
}

/// Where ssh-agent listens (IdentityAgent).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum AgentSocket {
    /// Where SSH_AUTH_SOCK says.
    #[default]
    Environment,
    /// There.
    Path(PathBuf),
    /// No agent is asked.
    None,
}

/// What ssh's configuration says for a name that stands in it.
#[derive(Debug, Clone)]
pub struct OfName {
    /// How to get in.
    pub login: Login,
    /// The host after HostName, if there is one.
    pub host_name: Option<String>,
    /// HostKeyAlias.
    pub alias: Option<String>,
    /// The port, if it says one.
    pub named_port: Option<u16>,
    /// The user, if it says one.
    pub named_user: Option<String>,
}

/// What the command line says of all hosts.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// Who logs in.
    pub user: Option<String>,
    /// Files of keys, before all others.
    pub identities: Vec<PathBuf>,
    /// Wherever ssh goes through something else, that does not count.
    pub is_direct: bool,
}

/// All that is known of logging in, but for the hosts.
#[derive(Debug)]
pub struct Logins {
    typed: Typed,
    config: SshConfig,
    local: Local,
    patience: Duration,
}

/// Who and what this is.
#[derive(Debug)]
struct Local {
    user: String,
    home: String,
    uid: u32,
    host: String,
}

impl Logins {
    /// Reads ssh's configuration. `patience` is how long `ssh -G` may take for one host, where it is needed.
    pub fn load(typed: Typed, which: Which, patience: Duration) -> Result<Self, Error> {
        let config = tree::load(which).map_err(|error| {
            let hint = error.hint();
            Error::usage("ssh-config", error).hint(hint)
        })?;
        let nobody = || Error::usage("login", "this user has no name").hint("log in as somebody: -l USER");
        let me = User::from_uid(getuid()).ok().flatten();
        let local = match (me, &typed.user) {
            (Some(me), _) => Local {
                user: me.name,
                home: me.dir.to_string_lossy().into_owned(),
                uid: me.uid.as_raw(),
                host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            },
            (None, Some(user)) => Local {
                user: user.clone(),
                home: "/".to_owned(),
                uid: getuid().as_raw(),
                host: String::new(),
            },
            (None, None) => return Err(nobody()),
        };
        Ok(Logins { typed, config, local, patience })
    }

    /// The configuration.
    pub fn config(&self) -> &SshConfig {
        &self.config
    }

    /// How to get into this host.
    pub async fn settings(&self, host: &Host) -> Result<Login, Error> {
        let name = host.target.to_string();
        let user = self.typed.user.as_deref().or(host.user.as_deref());
        let said = self.said(&name, user).await?;
        let port = host.has_named_port.then_some(host.port);
        let named = self.typed.identities.iter().chain(&host.identities).cloned().collect();
        Ok(self.login(&name, user, port, named, &said))
    }

    /// What the configuration says for a name that stands in it.
    pub async fn of_name(&self, name: &str) -> Result<OfName, Error> {
        let said = self.said(name, None).await?;
        Ok(OfName {
            login: self.login(name, None, None, Vec::new(), &said),
            host_name: said.host_name.as_deref().and_then(|real| expand_host(real, name)),
            alias: said.host_key_alias,
            named_port: said.port,
            named_user: said.user,
        })
    }

    fn login(
        &self,
        name: &str,
        user: Option<&str>,
        port: Option<u16>,
        mut identities: Vec<PathBuf>,
        said: &Said,
    ) -> Login {
        let user = user.or(said.user.as_deref()).unwrap_or(&self.local.user);
        let port = port.or(said.port).unwrap_or(SSH);
        let real = said.host_name.as_deref().and_then(|real| expand_host(real, name));
        let tokens = Tokens {
            typed: name,
            host: real.as_deref().unwrap_or(name),
            alias: said.host_key_alias.as_deref().unwrap_or(name),
            port,
            user,
            local_user: &self.local.user,
            home: &self.local.home,
            uid: self.local.uid,
            local_host: &self.local.host,
        };
        let files = |texts: &[String]| -> Vec<PathBuf> {
            let named = texts.iter().filter(|text| !text.eq_ignore_ascii_case("none"));
            named.filter_map(|text| tokens.file(text, variable, home_of)).map(PathBuf::from).collect()
        };
        let has_default_identities = identities.is_empty() && said.identities.is_empty();
        for file in files(&said.identities) {
            if !identities.contains(&file) {
                identities.push(file);
            }
        }
        Login {
            user: user.to_owned(),
            port,
            identities,
            has_default_identities,
            certificates: files(&said.certificates),
            agent: said.agent.as_deref().map_or(AgentSocket::Environment, |agent| socket(agent, &tokens)),
            identities_only: said.identities_only.unwrap_or(false),
            jump: said.jump().filter(|_| !self.typed.is_direct).cloned(),
        }
    }

    /// What ssh's configuration says.
    async fn said(&self, name: &str, user: Option<&str>) -> Result<Said, Error> {
        let asked = Asked { host: name, user, local_user: &self.local.user };
        if let Ok(said) = evaluate(&self.config.files, &asked) {
            return Ok(said);
        }
        let file = match &self.config.which {
            Which::File(file) => Some(file.as_path()),
            Which::Usual | Which::None => None,
        };
        let config = of_user(name, user, file, self.patience).await.map_err(|error| {
            let hint = match error {
                AskSshError::Missing => "install OpenSSH's client, or leave its configuration out of it",
                _ => "ssh -G HOST tells what ssh makes of its configuration",
            };
            Error::failure("ssh-config", format!("what ssh would do for {name} is not known: {error}"))
                .hint(hint)
        })?;
        Ok(told(&config))
    }
}

/// What `ssh -G` told; its defaults say nothing.
pub fn told(config: &Config) -> Said {
    let some = |keyword: &str| config.get(keyword).map(str::to_owned);
    let all = |keyword: &str| -> Vec<String> { config.all(keyword).map(str::to_owned).collect() };
    let identities = all("identityfile");
    let jump = some("proxyjump").and_then(|hosts| Jump::host(&hosts, true));
    let jump = jump.or_else(|| Jump::command(&some("proxycommand")?, true));
    let are_defaults = identities.len() > 2 && identities.iter().all(|file| file.starts_with(DEFAULTS));
    Said {
        host_name: some("hostname"),
        host_key_alias: some("hostkeyalias"),
        user: some("user"),
        port: config.port(),
        identities: if are_defaults { Vec::new() } else { identities },
        certificates: all("certificatefile"),
        agent: config.all("identityagent").next().map(str::to_owned),
        identities_only: some("identitiesonly").map(|value| value == "yes" || value == "true"),
        proxy: jump.map(Proxy::Through),
    }
}

/// IdentityAgent: a socket, `none`, `SSH_AUTH_SOCK`, or a variable that holds a socket.
fn socket(text: &str, tokens: &Tokens<'_>) -> AgentSocket {
    let path = match text.strip_prefix('$') {
        _ if text == "none" => None,
        _ if text == "SSH_AUTH_SOCK" => return AgentSocket::Environment,
        Some(name) if !name.starts_with('{') => variable(name),
        _ => tokens.file(text, variable, home_of),
    };
    path.map_or(AgentSocket::None, |path| AgentSocket::Path(path.into()))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn home_of(user: &str) -> Option<String> {
    User::from_name(user).ok().flatten().map(|user| user.dir.to_string_lossy().into_owned())
}
