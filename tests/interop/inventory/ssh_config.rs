//! What ssh's configuration says for a host, held against `ssh -G`.

use std::process::Command;
use std::time::Duration;

use sshanchor::fleet::login::{AgentSocket, Logins, Typed, told};
use sshanchor::fleet::{Host, Target};
use sshanchor::proto::doctor::ssh::Config;
use sshanchor::proto::name::HostName;
use sshanchor::proto::ssh_config::evaluate::{Asked, Proxy, Said, evaluate, expand_host};
use sshanchor::ssh::config::tree::{Which, load};

use crate::support::sandbox::Sandbox;

/// Configurations, and whether ssh has to be asked for some host. `DIR` is the folder of the test.
const CONFIGS: &[(&str, bool)] = &[
    ("", false),
    ("User deploy\nPort 2222\n", false),
    ("Host web1\n  User deploy\n", false),
    ("Host web1\n  User deploy\nHost *\n  User other\n  Port 2022\n", false),
    ("Host *\n  User first\nHost web1\n  User second\n", false),
    ("Host web? !web2\n  User few\n", false),
    ("Host !web1\n  User nobody\n", false),
    ("Host !web1 *\n  User others\n", false),
    ("Host web1,web2\n  User list\n", false),
    ("Host \"web1\" 'web2'\n  User quoted\n", false),
    ("Host=web1\n  User=deploy # me\n  Port = 33\n", false),
    ("hOST WEB1 web1\n\tuSER deploy\n", false),
    ("Host *.example.com\n  IdentityFile ~/.ssh/id_%h\n  IdentityFile ~/.ssh/other\n", false),
    (
        "IdentityFile \"DIR/my keys/id\"\nIdentityFile DIR/my\\ keys/id\nCertificateFile DIR/%r-cert.pub\n",
        false,
    ),
    ("IdentityFile none\nIdentitiesOnly yes\n", false),
    ("IdentitiesOnly no\nHost web1\nIdentitiesOnly yes\n", false),
    ("Host web1\n  IdentityAgent none\nHost *\n  IdentityAgent DIR/agent.sock\n", false),
    ("IdentityAgent SSH_AUTH_SOCK\n", false),
    ("IdentityAgent ~/.agent/%r-%h-%p\nPort 44\nUser deploy\n", false),
    ("Host web1\n  HostName %h.example.com\nMatch host *.example.com\n  User byname\n", false),
    ("Match originalhost web1\n  User original\nMatch host web2,db*\n  User hosts\n", false),
    ("Match host *,!web1\n  User others\n", false),
    ("Match !host web1\n  User notone\n", false),
    ("Match all\n  User all\n", false),
    ("Match user deploy\n  Port 77\nUser deploy\n", false),
    ("User deploy\nMatch user deploy,root host web*\n  Port 77\n", false),
    ("Match localuser nobodyatall\n  Port 77\nMatch !localuser nobodyatall\n  Port 78\n", false),
    ("Match HOST WEB1\n  User capital\n", false),
    ("Host web1\n  Include DIR/included\n  IdentityFile DIR/behind\nHost *\n  User last\n", false),
    ("Include DIR/included\nUser last\n", false),
    ("Include DIR/inc*\nUser last\n", false),
    ("Include DIR/nowhere DIR/included\n", false),
    ("Host nobody\n  Include DIR/included\nHost *\n  Port 9\n", false),
    ("Match host web1\n  Include DIR/nested\n", false),
    ("Host web1\n  ProxyCommand nc %h %p\n  LocalForward 8080 localhost:80\n  User deploy\n", false),
    ("# a comment\n\n   # another\nUser deploy   \r\n", false),
    ("CanonicalizeHostname no\nUser deploy\n", false),
    ("Match exec \"true\"\n  User exec\n", true),
    ("Match host web1 exec true\n  Port 99\nHost *\n  User other\n", true),
    ("Match exec true\n  ServerAliveInterval 3\nHost *\n  User deploy\n", false),
    ("User deploy\nMatch exec true\n  User exec\n", false),
    ("Match final all\n  User final\n", true),
    ("Match final host web1\n  IdentityFile DIR/final\nIdentityFile DIR/first\n", true),
    ("Match canonical all\n  User canonical\nUser deploy\n", true),
    ("Port ssh\n", true),
    ("Host web?\n  ProxyJump me@gate:2222\nHost *\n  ProxyCommand nc %h %p\n", false),
    ("Host web1\n  ProxyCommand none\nHost *\n  ProxyJump gate\n", false),
    ("Host web1\n  ProxyJump none\nHost *\n  ProxyCommand nc %h %p\n", false),
    ("Host web1\n  ProxyCommand ssh -W '[%h]:%p' gate # x\n", false),
    ("ProxyCommand sshanchor proxy %h %p\n", false),
    ("CanonicalizeHostname false\nHostName other.example.com\nHostKeyAlias alias\n", false),
];

const HOSTS: [&str; 6] = ["web1", "web2", "db1", "web1.example.com", "a.example.com", "WEB1"];

fn ssh_says(sandbox: &Sandbox, file: &str, host: &str, user: Option<&str>) -> Config {
    let mut command = Command::new("ssh");
    command.args(["-G", "-F"]).arg(sandbox.join(file)).args(user.map(|user| format!("-l{user}")));
    let output = command.args(["--", host]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Config::parse(&String::from_utf8(output.stdout).unwrap())
}

fn local_user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The same form for both: what ssh fills in by default is filled in, and what it expands is left out.
fn comparable(said: Said, host: &str, user: Option<&str>) -> Said {
    let host_name = said.host_name.as_deref().map_or(Some(host.to_owned()), |name| expand_host(name, host));
    // By what is another matter: ssh writes it otherwise.
    let proxy = said.jump().map(|_| Proxy::Direct);
    Said {
        host_name: host_name.map(|name| name.to_ascii_lowercase()),
        user: Some(user.map(str::to_owned).or(said.user).unwrap_or_else(local_user)),
        port: Some(said.port.unwrap_or(22)),
        identities_only: Some(said.identities_only.unwrap_or(false)),
        agent: None,
        proxy,
        ..said
    }
}

#[test]
fn every_configuration_says_what_ssh_makes_of_it() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().to_str().unwrap().to_owned();
    sandbox.write("included", "User included\nHost web2\n  Port 44\nIdentityFile DIR/i\n");
    sandbox.write("include2", &format!("IdentityFile {dir}/two\n"));
    sandbox.write("nested", &format!("Include {dir}/included\nPort 55\n"));
    let me = local_user();
    for (text, is_ssh_asked) in CONFIGS {
        let file = sandbox.write("config", &text.replace("DIR", &dir));
        let config = load(Which::File(file)).unwrap();
        let mut was_asked = false;
        for host in HOSTS {
            for user in [None, Some("deploy")] {
                let asked = Asked { host, user, local_user: &me };
                let Ok(said) = evaluate(&config.files, &asked) else {
                    was_asked = true;
                    continue;
                };
                let theirs = ssh_says(&sandbox, "config", host, user);
                let wanted = comparable(told(&theirs), host, user);
                assert_eq!(comparable(said, host, user), wanted, "{host} {user:?}:\n{text}");
            }
        }
        assert_eq!(was_asked, *is_ssh_asked, "{text}");
    }
}

fn host(name: &str) -> Host {
    let name = HostName::parse(name).unwrap();
    Host { has_named_port: false, ..Host::new(Target::Host(name), 22) }
}

/// With tokens, agents, and what ssh alone can tell.
#[tokio::test]
async fn logins_are_those_of_ssh() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().to_str().unwrap().to_owned();
    let mut asked = 0;
    for (text, is_ssh_asked) in CONFIGS {
        let file = sandbox.write("config", &text.replace("DIR", &dir));
        let logins = Logins::load(Typed::default(), Which::File(file), Duration::from_secs(20)).unwrap();
        for name in ["web1", "a.example.com"] {
            let login = logins.settings(&host(name)).await.unwrap();
            let theirs = ssh_says(&sandbox, "config", name, None);
            assert_eq!(Some(login.user.as_str()), theirs.get("user"), "{name}:\n{text}");
            assert_eq!(Some(login.port), theirs.port(), "{name}:\n{text}");
            // ssh -G has replaced the tokens of this one.
            let agent = match theirs.all("identityagent").next() {
                None | Some("SSH_AUTH_SOCK") => AgentSocket::Environment,
                Some("none") => AgentSocket::None,
                Some(path) => AgentSocket::Path(path.into()),
            };
            assert_eq!(login.agent, agent, "{name}:\n{text}");
            asked += usize::from(*is_ssh_asked);
        }
    }
    assert!(asked > 4);
}

/// ssh names the files that it would use once it has a connection.
#[tokio::test]
async fn files_of_keys_are_those_that_ssh_would_use() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().to_str().unwrap().to_owned();
    let text = "Host web1\n  HostName %h.example.com\n  User deploy\n  Port 2222\n  IdentityFile DIR/%h-%n-%p-%r-%u-%i-%k\n  \
                IdentityFile ${KEYS_OF_TEST_UNSET}/x\n  IdentityFile ~/.ssh/none_%L\n  CertificateFile DIR/%l-%d\n";
    let without = text.replace("  IdentityFile ${KEYS_OF_TEST_UNSET}/x\n", "").replace("DIR", &dir);
    let file = sandbox.write("config", &without);
    let output = Command::new("ssh")
        .args(["-v", "-o", "ProxyCommand=false", "-F"])
        .arg(&file)
        .arg("web1")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let named = |kind: &str| -> Vec<String> {
        let kind = format!("debug1: {kind} file ");
        let lines = told.lines().filter_map(|line| line.strip_prefix(&kind)?.split_once(" type "));
        lines.map(|(file, _)| file.to_owned()).filter(|file| !file.ends_with("-cert")).collect()
    };
    let file = sandbox.write("with", &text.replace("DIR", &dir));
    let typed = Typed { user: None, identities: vec!["/typed".into()], ..Typed::default() };
    let logins = Logins::load(typed, Which::File(file), Duration::from_secs(20)).unwrap();
    let login =
        logins.settings(&Host { identities: vec!["/inventory".into()], ..host("web1") }).await.unwrap();
    let shown = |files: &[std::path::PathBuf]| -> Vec<String> {
        files.iter().map(|file| file.to_str().unwrap().to_owned()).collect()
    };
    let identities = shown(&login.identities);
    assert_eq!(identities[..2], ["/typed", "/inventory"]);
    assert_eq!(identities[2..], named("identity"), "{told}");
    assert_eq!(shown(&login.certificates), named("certificate"), "{told}");
    assert!(!login.has_default_identities);
    assert!(logins.settings(&host("web2")).await.unwrap().identities == [std::path::PathBuf::from("/typed")]);
}

#[tokio::test]
async fn the_command_line_comes_first_then_the_inventory_then_ssh() {
    let sandbox = Sandbox::new();
    let file =
        sandbox.write("config", "Host web1\nUser ssh\nPort 2222\nMatch user typed\nIdentityFile /of-typed\n");
    let logins = |user: Option<&str>| {
        let typed = Typed { user: user.map(str::to_owned), identities: Vec::new(), ..Typed::default() };
        Logins::load(typed, Which::File(file.clone()), Duration::from_secs(20)).unwrap()
    };
    let of_inventory =
        Host { user: Some("inventory".to_owned()), port: 33, has_named_port: true, ..host("web1") };
    let seen = |login: sshanchor::fleet::login::Login| (login.user, login.port, login.identities.len());
    let typed = logins(Some("typed"));
    assert_eq!(seen(typed.settings(&of_inventory).await.unwrap()), ("typed".to_owned(), 33, 1));
    let none = logins(None);
    assert_eq!(seen(none.settings(&of_inventory).await.unwrap()), ("inventory".to_owned(), 33, 0));
    assert_eq!(seen(none.settings(&host("web1")).await.unwrap()), ("ssh".to_owned(), 2222, 0));
    assert_eq!(seen(none.settings(&host("web2")).await.unwrap()), (local_user(), 22, 0));
}

#[test]
fn a_configuration_that_others_write_is_refused_where_ssh_refuses_it() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let included = sandbox.write("included", "User evil\n");
    let file = sandbox.write("config", &format!("Include {}\n", included.display()));
    assert!(load(Which::File(file.clone())).is_ok());
    std::fs::set_permissions(&included, std::fs::Permissions::from_mode(0o666)).unwrap();
    let ssh = Command::new("ssh").args(["-G", "-F"]).arg(&file).arg("web1").output().unwrap();
    assert!(!ssh.status.success());
    assert!(load(Which::File(file)).unwrap_err().to_string().contains("can be written by others"));
    assert!(load(Which::File(sandbox.join("nowhere"))).unwrap_err().to_string().contains("there is no"));
    let itself = sandbox.join("itself");
    std::fs::write(&itself, format!("Include {0}\nInclude {0}\n", itself.display())).unwrap();
    assert!(load(Which::File(itself)).is_err());
}
