//! A private, signed DNS tree with its own root, served by one real named.
//!
//! | zone | what it is |
//! |---|---|
//! | `.`, `test.` | signed, static |
//! | `example.test.` | signed by named itself; takes updates |
//! | `sub.example.test.` | signed with its own keys, one for everything |
//! | `other.test.` | a signed sibling, NSEC3 |
//! | `plain.test.` | delegated, unsigned |
//! | `broken.test.` | signed, but its DS fits no key |
//!
//! web1 to web9 of each of the lower zones are at 127.0.0.1. TSIG keys: `zone` may change all,
//! `web1` to `web3` only the SSHFP sets of their host and its ports 22 and 2222, `ca` only the CA set of example.test.
//! and the revoked set beside it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use super::named::{Named, TsigKey};
use super::peer::command;
use super::process::run_ok;
use super::sandbox::Sandbox;
use super::zone::{Keys, Parent, Signing, Zone};

/// What to build; [`Tree::plan`] begins one.
#[derive(Debug, Clone)]
pub struct Plan {
    pub zones: Vec<Zone>,
    pub tsig: Vec<TsigKey>,
    anchor: String,
}

/// A running tree.
#[derive(Debug)]
pub struct Tree {
    // Before its folder, which holds its log.
    pub named: Named,
    pub sandbox: Sandbox,
    pub zones: Vec<Zone>,
    pub keys: Vec<Keys>,
    pub tsig: Vec<TsigKey>,
    anchor: String,
}

impl Tree {
    /// The tree above, to be changed before it starts.
    pub fn plan() -> Plan {
        let host = |i: u8| {
            let owner = format!("web{i}.example.test.");
            let owners = vec![owner.clone(), format!("_22._ssh.{owner}"), format!("_2222._ssh.{owner}")];
            TsigKey::new(&format!("web{i}"), "hmac-sha256", Some(owners))
        };
        let mut tsig: Vec<TsigKey> = (1..=3).map(host).collect();
        let sets = ["_ca._ssh.example.test.", "_revoked._ssh.example.test."].map(str::to_owned);
        tsig.push(TsigKey::new("ca", "hmac-sha256", Some(sets.to_vec())));
        tsig.push(TsigKey::new("zone", "hmac-sha256", None));
        tsig.push(TsigKey::new("zone512", "hmac-sha512", None));
        let zones = vec![
            Zone::signed("."),
            Zone::signed("test."),
            Zone::dynamic("example.test.").hosts(),
            Zone::signed("sub.example.test.").combined().hosts(),
            Zone::signed("other.test.").nsec3().hosts(),
            Zone::unsigned("plain.test.").hosts(),
            Zone::signed("broken.test.").parent(Parent::WrongDs).hosts(),
        ];
        Plan { zones, tsig, anchor: ".".into() }
    }

    /// The tree as it stands above, running.
    pub fn start() -> Tree {
        Tree::plan().start()
    }

    /// The authority's address: it answers for every zone, and can stand in for a resolver.
    pub fn addr(&self) -> SocketAddr {
        self.named.addr()
    }

    /// The root's key as a file of DNSKEY lines.
    pub fn anchor(&self) -> PathBuf {
        self.anchor_of(&self.anchor)
    }

    /// The key of `zone` as a file of DNSKEY lines: an anchor for an island.
    pub fn anchor_of(&self, zone: &str) -> PathBuf {
        let name = format!("anchor-{}.key", self.zone(zone).0.file_stem());
        let file = self.sandbox.join(&name);
        if !file.exists() {
            // Whole as soon as it is there: another thread may want it too.
            let part = format!("{name}-{:08x}", rand::random::<u32>());
            fs::rename(self.sandbox.write(&part, &self.keys(zone).dnskey_line()), &file).unwrap();
        }
        file
    }

    /// The root's key as a file of DS lines.
    pub fn anchor_ds(&self) -> PathBuf {
        self.sandbox.write("anchor.ds", &self.keys(".").ds_line())
    }

    /// The keys of `zone`.
    pub fn keys(&self, zone: &str) -> &Keys {
        self.zone(zone).1
    }

    /// The key file of a TSIG key, in BIND's format.
    pub fn tsig(&self, name: &str) -> PathBuf {
        self.sandbox.join(&format!("{name}.tsig"))
    }

    /// Changes a dynamic zone through nsupdate (its own second opinion on updates): `lines` as
    /// nsupdate wants them, sent as the all-powerful key.
    pub fn update(&self, lines: &str) {
        update_at(self.addr(), &self.tsig("zone"), &self.sandbox, lines);
    }

    /// `sshanchor` at home in this tree, with the root as its anchor and `resolver` to ask.
    pub fn sshanchor(&self, resolver: SocketAddr) -> std::process::Command {
        let mut command = self.sandbox.sshanchor();
        command.env("SSHANCHOR_RESOLVER", resolver.to_string());
        command.env("SSHANCHOR_TRUST_ANCHOR", self.anchor()).env("SSHANCHOR_CACHE", "off");
        command
    }

    fn zone(&self, name: &str) -> (&Zone, &Keys) {
        let mut both = self.zones.iter().zip(&self.keys);
        both.find(|(zone, _)| zone.name == name).unwrap_or_else(|| panic!("no zone {name}"))
    }
}

/// Sends `lines` to the server at `addr` through nsupdate.
pub fn update_at(addr: SocketAddr, key: &Path, sandbox: &Sandbox, lines: &str) {
    let script = format!("server {} {}\n{lines}\nsend\n", addr.ip(), addr.port());
    let name = format!("update-{:08x}", rand::random::<u32>());
    run_ok(command("nsupdate").arg("-k").arg(key).arg(sandbox.write(&name, &script)));
}

impl Plan {
    /// With one more zone, or in place of one of that name.
    pub fn zone(mut self, zone: Zone) -> Plan {
        self.zones.retain(|z| z.name != zone.name);
        self.zones.push(zone);
        self
    }

    /// With `change` made to the zone `name`.
    pub fn with(mut self, name: &str, change: impl FnOnce(Zone) -> Zone) -> Plan {
        let index = self.zones.iter().position(|z| z.name == name).unwrap();
        let zone = self.zones.remove(index);
        self.zones.insert(index, change(zone));
        self
    }

    /// With a line of a zone file in the zone that holds its owner.
    pub fn record(mut self, line: &str) -> Plan {
        let owner = line.split_whitespace().next().unwrap();
        let holder = self.zones.iter_mut().filter(|z| z.holds(owner)).max_by_key(|z| z.name.len());
        holder.unwrap().records.push(line.to_owned());
        self
    }

    /// With leave for the TSIG key `name` to change the SSHFP records of `owner`.
    pub fn grant(mut self, name: &str, owner: &str) -> Plan {
        let key = self.tsig.iter_mut().find(|k| k.name == name).unwrap();
        key.owners.get_or_insert_default().push(owner.to_owned());
        self
    }

    /// With one more TSIG key.
    pub fn tsig(mut self, key: TsigKey) -> Plan {
        self.tsig.push(key);
        self
    }

    /// Makes keys and zone files, signs, and starts named.
    pub fn start(self) -> Tree {
        self.start_in(Sandbox::new())
    }

    /// The same in a folder that is there already.
    pub fn start_in(self, sandbox: Sandbox) -> Tree {
        let Plan { zones, tsig, anchor } = self;
        let keys = in_parallel(&zones, |zone| {
            let folder = sandbox.join(zone.file_stem());
            fs::create_dir(&folder).unwrap();
            if zone.signing == Signing::Unsigned {
                return Keys { ksk: PathBuf::new(), zsk: PathBuf::new(), more: Vec::new() };
            }
            Keys::generate(zone, &folder)
        });
        let delegations: Vec<String> = in_parallel(&zones, |zone| {
            let index = zones.iter().position(|z| z.name == zone.name).unwrap();
            delegation(zone, &keys[index], &sandbox)
        });
        for key in &tsig {
            sandbox.write(&format!("{}.tsig", key.name), &key.statement());
        }
        in_parallel(&zones, |zone| {
            let index = zones.iter().position(|z| z.name == zone.name).unwrap();
            let mut text = apex(zone);
            for (child, lines) in zones.iter().zip(&delegations) {
                if parent_of(child, &zones).is_some_and(|parent| parent.name == zone.name) {
                    text += lines;
                }
            }
            let file = sandbox.write(&format!("{}.db", zone.file_stem()), &text);
            match &zone.signing {
                Signing::Static { start, end } => sign(zone, &sandbox, &file, start, end),
                // Signed from the first answer on: named by itself signs bit by bit after its start.
                Signing::Dynamic => sign(zone, &sandbox, &file, "now-3600", "now+1209600"),
                Signing::Unsigned | Signing::Elsewhere => {}
            }
            if let Some(edit) = zone.edit {
                let signed = fs::read_to_string(&file).unwrap();
                fs::write(&file, edit(&signed, &keys[index])).unwrap();
            }
        });
        let named = Named::start(sandbox.path(), &zones, &tsig);
        Tree { sandbox, named, zones, keys, tsig, anchor }
    }
}

fn parent_of<'a>(child: &Zone, zones: &'a [Zone]) -> Option<&'a Zone> {
    zones.iter().filter(|z| z.name != child.name && z.holds(&child.name)).max_by_key(|z| z.name.len())
}

/// The zone file's own part. Short negative TTL: tests add what was asked for in vain before.
fn apex(zone: &Zone) -> String {
    let name = &zone.name;
    let ns = ns_name(name);
    let records = zone.records.join("\n");
    format!(
        "$TTL 60\n{name} SOA {ns} hostmaster.{ns} 1 3600 600 86400 1\n{name} NS {ns}\n{ns} A 127.0.0.1\n{records}\n"
    )
}

fn ns_name(zone: &str) -> String {
    format!("ns.{}", zone.trim_start_matches('.'))
}

/// NS, glue and DS of `zone` for its parent.
fn delegation(zone: &Zone, keys: &Keys, sandbox: &Sandbox) -> String {
    let ns = ns_name(&zone.name);
    let ds = match zone.parent {
        Parent::Ds => keys.ds_line(),
        Parent::Sha1Ds => keys.ds("-1"),
        Parent::NoDs => String::new(),
        Parent::Says(lines) => lines(keys),
        Parent::WrongDs => {
            let folder = sandbox.join(&format!("{}-not", zone.file_stem()));
            fs::create_dir(&folder).unwrap();
            Keys::generate(&zone.clone().combined(), &folder).ds_line()
        }
    };
    format!("{} NS {ns}\n{ns} A 127.0.0.1\n{ds}\n", zone.name)
}

/// Replaces the zone file by its signed form.
fn sign(zone: &Zone, sandbox: &Sandbox, file: &Path, start: &str, end: &str) {
    let mut signzone = command("dnssec-signzone");
    signzone.args(["-S", "-P", "-n", "1", "-j", "0", "-s", start, "-e", end, "-o", &zone.name]);
    signzone.arg(if zone.combined { "-z" } else { "-x" });
    if zone.nsec3 {
        signzone.args(["-3", "-", "-H", &zone.iterations.to_string()]);
    }
    if zone.opt_out {
        signzone.arg("-A");
    }
    if zone.edit.is_some() {
        signzone.args(["-O", "full"]);
    }
    let keys = sandbox.join(zone.file_stem());
    signzone.arg("-K").arg(&keys).arg("-d").arg(&keys).arg("-f").arg(file).arg(file);
    run_ok(&mut signzone);
}

/// One thread a zone: most of a tree's start is waiting for BIND's tools.
fn in_parallel<T: Send>(zones: &[Zone], work: impl Fn(&Zone) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let handles: Vec<_> = zones.iter().map(|zone| scope.spawn(|| work(zone))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    })
}
