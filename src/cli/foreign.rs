//! Options of clush, parallel-ssh, Ansible, ssh, nsupdate and hash-slinger that people type here, and what they are called here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The commands for many hosts.
const ALL: &[&str] = &["exec", "verify", "audit"];
/// Those that log in nowhere.
const LOOKING: &[&str] = &["verify", "audit"];
const EXEC: &[&str] = &["exec"];
/// Those that change this machine's records.
const PUBLISHING: &[&str] = &["publish", "withdraw", "rotate"];

/// All that the table knows.
const COMMANDS: &[&[&str]] = &[ALL, PUBLISHING, &["sshfp"]];

/// What is typed, where, and what to type in its place.
const TABLE: &[(&[&str], &[&str], &str)] = &[
    (&["-w", "--nodes", "--host", "--hostlist"], ALL, "-H names the hosts: -H 'web[1-20].example.com'"),
    (&["--hostfile", "--machinefile"], ALL, "-H @FILE takes the hosts of a file"),
    (&["-f", "--forks", "--parallel", "--par"], ALL, "--fanout N says how many hosts at the same time"),
    (&["-g", "--group-name"], ALL, "-I INVENTORY --limit GROUP takes a group of an inventory of Ansible's"),
    (
        &["-u", "--user", "--remote-user"],
        EXEC,
        "-l USER says who logs in, or USER@HOST behind -H (-u of clush, a time: --command-timeout SECONDS)",
    ),
    (
        &["-u", "-l", "--login", "--user", "--remote-user"],
        LOOKING,
        "nobody logs in here: no user is asked for",
    ),
    (
        &["-t", "--connect-timeout", "--connect_timeout", "--command_timeout", "-T"],
        EXEC,
        "--timeout SECONDS is for the way to a host, --command-timeout SECONDS for the command",
    ),
    (&["-t", "--connect-timeout", "-T"], LOOKING, "--timeout SECONDS is for each host"),
    (
        &["-J", "--jump", "--proxy-jump", "--via"],
        ALL,
        "hosts are connected to directly: run sshanchor on the host between, or ssh with ProxyCommand sshanchor proxy --via",
    ),
    (&["-F"], ALL, "--ssh-config FILE goes by that one"),
    (
        &["-o", "--ssh-common-args", "--ssh-extra-args"],
        EXEC,
        "ssh's options are not taken; -l, -p, -i and --ssh-config FILE are",
    ),
    (&["-B", "--gather-all"], EXEC, "-b groups standard output and standard error, each for itself"),
    (
        &["-m", "-a", "--module-name", "--args"],
        EXEC,
        "the command stands at the end: sshanchor exec -H HOSTS -- COMMAND",
    ),
    (
        &["-k", "--ask-pass", "-A", "--askpass"],
        EXEC,
        "passwords are never offered: -i FILE names a key, or ssh-add it",
    ),
    (&["-C", "--check"], EXEC, "--dry-run shows verdicts, and runs nothing"),
    // nsupdate, and what is called so in scripts about it.
    (&["-k", "--key", "--tsig-key", "--tsig", "--keyfile"], PUBLISHING, "--key-file FILE names the TSIG key"),
    (
        &["-y"],
        PUBLISHING,
        "--key-file FILE: the key stands in a file, for others can read a command line; ALGORITHM:NAME:SECRET in one line will do",
    ),
    (
        &["-g", "-o", "--gss-tsig", "--gss"],
        PUBLISHING,
        "there is no GSS-TSIG: give this machine a TSIG key (--key-file FILE), or a program that calls nsupdate -g (--exec COMMAND)",
    ),
    (
        &["-s", "--primary", "--dns-server", "--nameserver", "--ns"],
        PUBLISHING,
        "--server ADDR[:PORT] names the zone's primary",
    ),
    (&["--host", "--hostname", "-H", "--fqdn"], PUBLISHING, "--name HOST names the host"),
    (&["-z"], PUBLISHING, "--zone ZONE names the zone; left out, the server does"),
    (&["-t"], &["publish"], "--ttl SECONDS is the records' time to live"),
    (
        &["-n", "--noop", "--dryrun", "--no-act"],
        PUBLISHING,
        "--dry-run shows what would change, --check tells by its status",
    ),
    // hash-slinger's sshfp.
    (
        &["-s", "--scan", "-a", "--all", "-d", "--dns", "-t", "--type"],
        &["sshfp"],
        "keys come from files, which the host's administrator has, and not from the network, where anybody may answer: \
         sshanchor sshfp --name HOST /etc/ssh/ssh_host_*_key.pub",
    ),
    (
        &["-k", "--knownhosts", "--known-hosts"],
        &["sshfp"],
        "ssh-keygen -F HOST -f KNOWN_HOSTS prints a host's keys, and - reads them: sshanchor sshfp --name HOST -",
    ),
    (&["-i", "--inventory-file"], LOOKING, "-I FILE takes the hosts of an inventory of Ansible's"),
];

/// What to type in the place of an option that there is not, by what clap says and the words of the command line.
pub(super) fn hint(error: &clap::Error, mut words: impl Iterator<Item = String>) -> Option<&'static str> {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(unknown))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    let command = words.find(|word| COMMANDS.iter().any(|commands| commands.contains(&word.as_str())))?;
    match unknown.starts_with('-') {
        true => of_option(&command, unknown),
        false => PUBLISHING.contains(&command.as_str()).then_some(
            "the host is given with --name HOST, files of keys with --host-key FILE... (publish alone)",
        ),
    }
}

fn of_option(command: &str, unknown: &str) -> Option<&'static str> {
    let unknown = unknown.split_once('=').map_or(unknown, |(option, _)| option);
    let is_it = |(options, commands, _): &&(&[&str], &[&str], &str)| {
        options.contains(&unknown) && commands.contains(&command)
    };
    TABLE.iter().find(is_it).map(|(_, _, hint)| *hint)
}

/// What clap has said, with this hint. Its own, to give the option to the command as a word, would mislead.
pub(super) fn with_hint(told: &str, hint: &str) -> String {
    let lines: Vec<&str> =
        told.trim_end().lines().filter(|line| !line.trim_start().starts_with("tip: to pass")).collect();
    let mut out = String::new();
    for line in lines {
        // One empty line between two others is enough.
        if !(line.is_empty() && out.ends_with("\n\n")) {
            out += line;
            out.push('\n');
        }
    }
    out + "  hint: " + hint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_name_is_told_where_it_is_an_option() {
        let told = |words: &[&str]| {
            let error = crate::cli::command().try_get_matches_from(words).unwrap_err();
            hint(&error, words.iter().map(ToString::to_string))
        };
        assert!(told(&["sshanchor", "publish", "web1.example.com"]).unwrap().contains("--name HOST"));
        assert!(told(&["sshanchor", "-v", "rotate", "web1.example.com"]).unwrap().contains("--name HOST"));
        assert_eq!(told(&["sshanchor", "agent", "--nonsense"]), None);
    }

    #[test]
    fn no_option_of_the_table_is_one_that_is_there() {
        let command = crate::cli::command();
        for (options, commands, _) in TABLE {
            for name in *commands {
                let own = command.find_subcommand(name).unwrap();
                let globals = command.get_arguments().filter(|arg| arg.is_global_set());
                let known: Vec<String> = own
                    .get_arguments()
                    .chain(globals)
                    .flat_map(|arg| {
                        let long = arg.get_long().map(|long| format!("--{long}"));
                        long.into_iter().chain(arg.get_short().map(|short| format!("-{short}")))
                    })
                    .collect();
                for option in *options {
                    assert!(!known.iter().any(|known| known == option), "{name} {option}");
                }
            }
        }
    }

    #[test]
    fn what_others_call_otherwise_is_told() {
        assert!(of_option("exec", "-w").unwrap().contains("-H"));
        assert!(of_option("exec", "--forks=5").unwrap().contains("--fanout"));
        assert!(of_option("exec", "-u").unwrap().contains("-l USER"));
        assert!(of_option("verify", "-u").unwrap().contains("nobody logs in"));
        assert!(of_option("publish", "-k").unwrap().contains("--key-file"));
        assert!(of_option("rotate", "-g").unwrap().contains("--exec"));
        assert!(of_option("sshfp", "-s").unwrap().contains("from files"));
        assert_eq!(of_option("lookup", "-w"), None);
        assert_eq!(of_option("exec", "--whatever"), None);
        let told = with_hint("error: no\n\n  tip: to pass '-w' as a value, use '-- -w'\n\nUsage: x\n", "y");
        assert_eq!(told, "error: no\n\nUsage: x\n  hint: y");
    }
}
