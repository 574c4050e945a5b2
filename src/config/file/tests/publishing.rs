//! `[publish]`, `[agent]` and `[rotate]`.

use super::*;
use crate::config::publishing::{Agent, Goodbye, Log, Provider, Rotate};
use crate::proto::hostkey::KeyType;

const WHOLE: &str = r#"version = 1

[publish]
name = ["web1.example.com", "www.example.com"]
server = "192.0.2.53"
key_file = "web1.key"
zone = "example.com"
port = 2222
ttl = 300
host_keys = ["/etc/ssh/a.pub"]
check_servers = "192.0.2.54"
require_signed = true
exclusive = true

[agent]
interval = "1h"
socket = "/run/a.sock"
metrics_file = "/var/m.prom"
metrics_listen = "127.0.0.1:9822"
log = "json"
withdraw = "poweroff"

[rotate]
every = "90d"
types = ["ed25519", "ecdsa"]
announce = "7d"
overlap = true
dead_after = "2h"
reload = "systemctl reload ssh"
sshd_config = "/etc/ssh/sshd_config"
"#;

#[test]
fn everything_is_read() {
    let file = parse(WHOLE, at()).unwrap();
    let (tables, line) = file.publishing.unwrap();
    let [publishing] = &tables[..] else { panic!("{tables:?}") };
    assert_eq!(line, 3);
    let names: Vec<String> = publishing.names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["web1.example.com", "www.example.com"]);
    let key_file = Some("/etc/sshanchor/web1.key".into());
    assert_eq!(publishing.place, Provider::Server { address: "192.0.2.53:53".parse().unwrap(), key_file });
    assert_eq!((publishing.port, publishing.ttl), (Some(2222), Some(300)));
    assert!(publishing.require_signed && publishing.exclusive);
    assert_eq!((publishing.host_keys.len(), publishing.check_servers.len()), (1, 1));
    let (agent, _) = file.agent.unwrap();
    assert_eq!((agent.log, agent.withdraw), (Log::Json, Goodbye::Poweroff));
    assert_eq!(agent.interval, Duration::from_secs(3600));
    let (rotate, _) = file.rotate.unwrap();
    assert_eq!(rotate.every, Some(Duration::from_secs(90 * 86_400)));
    assert_eq!((rotate.types.len(), rotate.types[0]), (4, KeyType::Ed25519));
    assert!(rotate.overlap && rotate.reload.is_some());
}

#[test]
fn each_kind_of_place_is_known_and_little_is_enough() {
    for place in [
        "server = \"::1\"",
        "powerdns = \"http://127.0.0.1:8081\"",
        "zone_file = \"a.inc\"\nreload = \"true %f\"\nzone = \"example.com\"",
        "exec = \"program --option\"\nzone = \"example.com\"",
    ] {
        let file = parse(format!("version = 1\n[publish]\n{place}"), at()).unwrap();
        let (tables, _) = file.publishing.unwrap();
        assert!(tables.len() == 1 && tables[0].names.is_empty(), "{place}");
    }
    let two =
        "version = 1\n[[publish]]\nserver = \"::1\"\n[[publish]]\nname = \"a.example\"\nserver = \"::2\"";
    assert_eq!(parse(two, at()).unwrap().publishing.unwrap().0.len(), 2);
    let file = parse("version = 1\n[agent]\n[rotate]", at()).unwrap();
    assert_eq!(file.agent.unwrap().0, Agent::default());
    assert_eq!(file.rotate.unwrap().0, Rotate::default());
}

#[test]
fn each_mistake_is_told_with_its_line() {
    for (rest, line, why) in [
        ("publish = 1", 2, "[publish]"),
        ("[publish]", 2, "want one place"),
        ("[publish]\nserver = \"::1\"\nexec = \"a\"\nzone = \"b\"", 2, "want one place"),
        ("[publish]\nserver = \"::1\"\napi_key_file = \"a\"", 2, "api_key_file does not belong"),
        ("[publish]\nzone_file = \"a\"\nzone = \"b\"", 2, "reload"),
        ("[publish]\nexec = \"a\"", 2, "want the zone"),
        ("[publish]\nserver = \"ns1\"", 3, "want an address"),
        ("[publish]\nname = \"a_b.example\"\nserver = \"::1\"", 3, "a_b.example"),
        ("[publish]\nname = \"192.0.2.1\"\nserver = \"::1\"", 3, "192.0.2.1"),
        ("[publish]\nserver = \"::1\"\nport = 0", 4, "from 1 to 65535"),
        ("[publish]\nserver = \"::1\"\nttl = \"1h\"", 4, "want a number"),
        ("[publish]\nserver = \"::1\"\nexclusive = 1", 4, "true or false"),
        ("[publish]\nserver = \"::1\"\nsecret = \"x\"", 4, "no key \"secret\" in [publish]"),
        ("[agent]\ninterval = \"0\"", 3, "from 1s to 7d"),
        ("[agent]\nlog = \"syslog\"", 3, "\"journald\""),
        ("[agent]\nmetrics_listen = \"9822\"", 3, "with a port"),
        ("[rotate]\ntypes = [\"dsa\"]", 3, "want ed25519"),
        ("[rotate]\nevery = \"monthly\"", 3, "span of time"),
        ("[rotate]\nreload = \"'\"", 3, "quotes"),
    ] {
        refused(&format!("version = 1\n{rest}\n"), line, why);
    }
}
