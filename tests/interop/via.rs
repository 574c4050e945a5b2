//! `proxy --via`: a host behind a jump host, and commands that do not do what they should.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::forger::Forger;
use crate::support::peer;
use crate::support::port::Port;
use crate::support::process::wait_until;
use crate::support::sandbox::clean;
use crate::support::sshd::Sshd;
use crate::support::wire::{A, AAAA};
use crate::support::{Finished, Tree, run};

const HOST: &str = "web1.example.test";
const OWNER: &str = "web1.example.test.";
const LIMIT: Duration = Duration::from_secs(60);
const BIN: &str = env!("CARGO_BIN_EXE_sshanchor");

/// A host, its jump host, and their zone. Neither name of the host has an address that leads there.
struct World {
    sshd: Sshd,
    jump: Sshd,
    tree: Tree,
    resolver: Forger,
}

fn world() -> World {
    let (mut sshd, jump) = (Sshd::start(&["ed25519"]), Sshd::start(&["ed25519"]));
    sshd.configure(&format!("ListenAddress [::1]:{}", sshd.port()));
    let plan = sshd.sshfp(OWNER).iter().fold(Tree::plan(), |plan, line| plan.record(line));
    let plan = jump.sshfp("web2.example.test.").iter().fold(plan, |plan, line| plan.record(line));
    let tree = plan.start();
    let resolver = Forger::start(tree.addr());
    World { sshd, jump, tree, resolver }
}

impl World {
    /// ssh's configuration for the jump host, as `jump`, and with these lines more.
    fn jump_config(&self, more: &str) -> PathBuf {
        let identity = self.jump.sandbox.join("user");
        let text = format!(
            "Host jump\nHostName 127.0.0.1\nPort {}\nIdentityFile {}\nIdentitiesOnly yes\nBatchMode yes\n\
             StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nGlobalKnownHostsFile /dev/null\n{more}\n",
            self.jump.port(),
            identity.display()
        );
        self.tree.sandbox.write("jump.conf", &text)
    }

    /// The command that goes by the jump host to `to`.
    fn jump(&self, to: &str) -> String {
        let config = self.jump_config("");
        format!("{} -F {} -W {to} jump", peer("ssh").display(), config.display())
    }

    /// No ssh to the jump host runs any more.
    #[track_caller]
    fn no_jump_is_left(&self) {
        ends(&self.tree.sandbox.join("jump.conf").display().to_string());
    }

    /// A script that is a command.
    fn script(&self, name: &str, text: &str) -> String {
        format!("sh {}", self.tree.sandbox.write(name, text).display())
    }

    fn equip(&self, command: &mut Command) {
        clean(command, self.tree.sandbox.path());
        command.env("SSHANCHOR_RESOLVER", self.resolver.addr().to_string());
        command.env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor()).env("SSHANCHOR_CACHE", "off");
        command.env("SSHANCHOR_CONFIG", self.tree.sandbox.write("config.toml", "version = 1\n"));
    }

    /// ssh without checks of its own, by `via`.
    fn ssh(&self, via: &str, options: &str) -> Command {
        let mut ssh = self.sshd.ssh();
        self.equip(&mut ssh);
        let via = via.replace('%', "%%");
        let proxy = format!("ProxyCommand='{BIN}' proxy {options} --via '{via}' %h %p");
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", &proxy]);
        ssh
    }

    /// The proxy alone, its client being this test.
    fn proxy(&self, via: &str, options: &[&str]) -> Child {
        self.proxy_by(Command::new(BIN), via, options)
    }

    /// The same by a program that starts it.
    fn proxy_by(&self, mut proxy: Command, via: &str, options: &[&str]) -> Child {
        self.equip(&mut proxy);
        proxy.args(["proxy", "--via", via, HOST, &self.sshd.port().to_string()]).args(options);
        proxy.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

#[track_caller]
fn works(ssh: &mut Command, host: &str) -> Finished {
    let finished = run(ssh.args([host, "echo hello; exit 7"]), LIMIT);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(7), "hello\n"), "{finished:#?}");
    finished
}

#[track_caller]
fn is_stopped(ssh: &mut Command, host: &str, why: &[&str]) -> Finished {
    let finished = run(ssh.args([host, "echo hello"]), LIMIT);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
    for part in why {
        assert!(finished.stderr.contains(part), "{part:?} is not on the screen: {finished:#?}");
    }
    finished
}

/// Processes, zombies left out, whose command line holds `text`.
fn running(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(text)).collect()
}

#[track_caller]
fn ends(text: &str) {
    let gone = wait_until(Duration::from_secs(10), || running(text).is_empty());
    assert!(gone, "still there: {:?}", running(text));
}

#[test]
fn a_host_behind_a_jump_host_is_reached_and_an_impostor_is_not() {
    let mut world = world();
    let way = world.jump("[%h]:%p");
    // The jump host knows where these are.
    for place in ["127.0.0.1", "::1", "localhost"] {
        works(&mut world.ssh(&way, &format!("--identity {HOST}")), place);
    }
    // Nobody here looks for addresses of a host that another one finds.
    let mark = world.jump.mark();
    works(&mut world.ssh(&world.jump("127.0.0.1:%p"), ""), HOST);
    let asked: Vec<_> = world.resolver.asked().into_iter().map(|(_, message)| message).collect();
    assert!(!asked.iter().any(|m| m.is_for(OWNER, A) || m.is_for(OWNER, AAAA)), "{asked:?}");
    assert!(world.jump.process.log()[mark..].contains("Accepted publickey"), "it went by the jump host");
    world.no_jump_is_left();

    world.sshd.rotate_host_keys();
    let mark = world.sshd.mark();
    let identity = format!("--identity {HOST}");
    let why = [HOST, "DNSSEC proves other keys", "(at ::1 port "];
    is_stopped(&mut world.ssh(&way, &identity), "::1", &why);
    is_stopped(&mut world.ssh(&world.jump("127.0.0.1:%p"), ""), HOST, &why[..2]);
    world.sshd.wait_closed(mark);
    assert!(!world.sshd.saw_newkeys(mark));
    // What could not be accepted anyway is refused by name.
    is_stopped(&mut world.ssh(&way, ""), "127.0.0.1", &["127.0.0.1 is an address"]);
    is_stopped(&mut world.ssh(&way, ""), "web3.example.test", &["nothing vouches for web3.example.test"]);
    world.no_jump_is_left();
}

#[test]
fn the_jump_host_is_verified_by_its_own_proxy() {
    let mut world = world();
    let own = format!("HostName web2.example.test\nProxyCommand '{BIN}' proxy %h %p");
    let way = |world: &World| {
        let config = world.jump_config("").display().to_string();
        world.jump_config(&own);
        // The first value counts.
        let text = std::fs::read_to_string(&config).unwrap().replace("HostName 127.0.0.1\n", "");
        std::fs::write(&config, text).unwrap();
        format!("{} -F {config} -W 127.0.0.1:%p jump", peer("ssh").display())
    };
    works(&mut world.ssh(&way(&world), ""), HOST);
    world.jump.rotate_host_keys();
    let why = ["the --via command", "ended with status 255", "web2.example.test shows"];
    is_stopped(&mut world.ssh(&way(&world), ""), HOST, &why);
}

#[test]
fn a_jump_host_that_is_sought_by_itself_ends_it() {
    let world = world();
    let file = world.tree.sandbox.join("loop.conf");
    let way = format!("{} -F {} -W %%h:%%p web2.example.test", peer("ssh").display(), file.display());
    let text = format!("Host *\nBatchMode yes\nProxyCommand '{BIN}' proxy --via '{way}' %h %p\n");
    std::fs::write(&file, text).unwrap();
    let way = way.replace("%%", "%");
    is_stopped(&mut world.ssh(&way, "--timeout 30"), HOST, &["--via leads to itself", "hint: "]);
    ends(&file.display().to_string());
}

#[test]
fn a_command_that_fails_is_told_with_its_last_words() {
    let world = world();
    let nobody = Port::free();
    let closed = format!(
        "{} -F none -o BatchMode=yes -p {} -W [%h]:%p 127.0.0.1",
        peer("ssh").display(),
        nobody.number()
    );
    let refused = format!(
        "ended with status 255: ssh: connect to host 127.0.0.1 port {}: Connection refused",
        nobody.number()
    );
    let finished =
        is_stopped(&mut world.ssh(&closed, ""), HOST, &[HOST, &refused, "hint: run the --via command"]);
    // ssh itself is told as well: with ControlPersist nothing else is seen.
    assert!(finished.stderr.contains("Received disconnect"), "{finished:#?}");
    // The jump host is there, and not what is behind it.
    let beyond = world.jump(&format!("127.0.0.1:{}", nobody.number()));
    is_stopped(&mut world.ssh(&beyond, ""), HOST, &["ended with status 255: ", "Connection refused"]);
    is_stopped(
        &mut world.ssh("/nowhere/ssh -W %h:%p", ""),
        HOST,
        &["cannot start the --via command (/nowhere/ssh)"],
    );
    is_stopped(&mut world.ssh("true", ""), HOST, &["the --via command (true) ended with status 0"]);
    for (bad, why) in [
        ("", "--via: it names no program"),
        ("ssh \"x", "--via: its quotes do not match"),
        ("ssh %r", "--via: %r means nothing"),
        ("%h -W", "the program itself cannot hold %h or %p"),
    ] {
        is_stopped(&mut world.ssh(bad, ""), HOST, &[why, "hint: "]);
        let mut proxy = world.proxy(bad, &[]);
        drop(proxy.stdin.take());
        assert_eq!(proxy.wait().unwrap().code(), Some(2), "{bad}");
    }
}

#[test]
fn a_command_that_hangs_ends_with_the_handshakes_deadline() {
    let world = world();
    let hangs = world.script("hangs-by-itself", "echo up >&2; exec sleep 86397.25");
    let why = ["timed out while waiting for the server's", "the --via command (sh) is still running: up"];
    is_stopped(&mut world.ssh(&hangs, "--timeout 2"), HOST, &why);
    ends("86397.25");
}

#[test]
fn nothing_of_a_host_name_reaches_a_shell_or_another_word() {
    let world = world();
    let shows = world.script("shows", "for word; do echo \"<$word>\" >&2; done; exit 9");
    let via = format!("{shows} \"%h %p\" \\%h 100%% $HOME \"a'b\" \"\"");
    let mut proxy = world.proxy(&via, &[]);
    proxy.stdin.take().unwrap().write_all(b"SSH-2.0-OpenSSH_10.0\r\n").unwrap();
    let output = proxy.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stderr);
    let port = world.sshd.port();
    for word in
        [format!("<{HOST} {port}>"), format!("<{HOST}>"), "<100%>".into(), "<$HOME>".into(), "<a'b>".into()]
    {
        assert!(shown.contains(&format!("sshanchor: --via: {word}\n")), "{word}: {shown}");
    }
    // The last line is in the error, once.
    assert!(shown.contains("ended with status 9: <>\n") && shown.matches("<>").count() == 1, "{shown}");
    for bad in ["-oProxyCommand=x", "a b", "$(x)", "fe80::1%$(x)"] {
        let mut proxy = Command::new(BIN);
        world.equip(&mut proxy);
        let finished = run(proxy.args(["proxy", "--via", &via, "--identity", HOST, "--", bad, "22"]), LIMIT);
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        assert!(!finished.stderr.contains('<'), "it ran: {finished:#?}");
    }
}

/// What the proxy prints on standard error for a client of this name, and whether it failed.
fn told(world: &World, via: &str, options: &[&str], client: &str) -> String {
    let mut proxy = world.proxy(via, options);
    let mut stdin = proxy.stdin.take().unwrap();
    stdin.write_all(format!("SSH-2.0-{client}\r\n").as_bytes()).unwrap();
    let (mut heard, mut told) = (Vec::new(), String::new());
    proxy.stdout.take().unwrap().read_to_end(&mut heard).unwrap();
    drop(stdin);
    assert_eq!(proxy.wait().unwrap().code(), Some(1));
    proxy.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    told
}

#[test]
fn what_a_command_says_is_sanitised_and_nothing_for_asyncssh() {
    let world = world();
    let nasty = "printf '\\033]0;owned\\007 one\\ntwo\\rthree\\033[2J\\n' >&2\n";
    let fails = world.script("fails", &format!("{nasty}exit 3"));
    let shown = told(&world, &fails, &[], "OpenSSH_10.0");
    assert!(!shown.contains('\x1b') && !shown.contains('\x07') && !shown.contains('\r'), "{shown:?}");
    assert!(shown.contains("sshanchor: --via: \\u{1b}]0;owned\\u{7} one\n"), "{shown}");
    assert!(shown.contains("sshanchor: --via: two\n"), "{shown}");
    assert!(shown.contains("ended with status 3: three\\u{1b}[2J\n"), "{shown}");
    assert_eq!(told(&world, &fails, &[], "AsyncSSH_2.24.0"), "");
    // And where all is well.
    let works_too = world.script("works", &format!("{nasty}exec {}\n", world.jump("127.0.0.1:$1")));
    let finished = works(&mut world.ssh(&format!("{works_too} %p"), ""), HOST);
    assert!(finished.stderr.contains("sshanchor: --via: three\\u{1b}[2J\n"), "{finished:#?}");
    assert!(!finished.stderr.contains('\x1b'), "{finished:#?}");
}

#[test]
fn the_command_ends_with_the_proxy_however_that_ends() {
    let world = world();
    for (n, signal) in ["HUP", "TERM", "INT"].into_iter().enumerate() {
        // It does not even look at its input.
        let mark = format!("86398.{n}");
        let deaf = world.script(&format!("deaf-{n}"), &format!("exec sleep {mark}"));
        let mut proxy = world.proxy(&deaf, &["--timeout", "60"]);
        assert!(wait_until(Duration::from_secs(10), || running(&mark).len() == 1), "it did not start");
        let mut kill = Command::new("kill");
        assert_eq!(run(kill.args([&format!("-{signal}"), &proxy.id().to_string()]), LIMIT).code, Some(0));
        proxy.wait().unwrap();
        ends(&mark);
    }
    // Nothing can be done about SIGKILL; ssh -W ends with its socket.
    let way = world.jump("127.0.0.1:%p");
    let mut proxy = world.proxy(&way, &["--timeout", "60"]);
    proxy.stdin.as_mut().unwrap().write_all(b"SSH-2.0-OpenSSH_10.0\r\n").unwrap();
    proxy.stdout.as_mut().unwrap().read_exact(&mut [0; 8]).unwrap();
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    world.no_jump_is_left();
}

/// ssh in the background after its terminal is gone: it ignores SIGHUP, and so does what it has started.
#[test]
fn under_nohup_the_end_of_the_terminal_ends_nothing() {
    let world = world();
    let late = world.script("late", "read -r version\nprintf 'SSH-2.0-later\\r\\n'\nexec cat");
    for (starter, wanted) in [("nohup", "SSH-2.0-later"), ("env", "")] {
        let mut by = Command::new(starter);
        by.arg(BIN);
        let mut proxy = world.proxy_by(by, &late, &["--timeout", "60"]);
        let name = late.split(' ').next_back().unwrap();
        assert!(wait_until(Duration::from_secs(10), || running(name).len() > 1), "it did not start");
        let mut kill = Command::new("kill");
        assert_eq!(run(kill.args(["-HUP", &proxy.id().to_string()]), LIMIT).code, Some(0));
        // Who is gone reads nothing.
        let _ = proxy.stdin.as_mut().unwrap().write_all(b"SSH-2.0-OpenSSH_10.0\r\n");
        let mut heard = vec![0; wanted.len()];
        proxy.stdout.as_mut().unwrap().read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), wanted);
        drop(proxy.stdin.take());
        assert_eq!(proxy.wait().unwrap().code(), Some(1));
    }
    world.no_jump_is_left();
}

#[test]
fn a_host_that_policy_passes_goes_by_it_too() {
    let mut world = world();
    world.sshd.rotate_host_keys();
    let rule = "version = 1\n[[host]]\nmatch = \"web1.example.test ::1\"\nmode = \"pass\"\n";
    let config = world.tree.sandbox.write("pass.toml", rule);
    let passed = |via: &str| {
        let mut ssh = world.ssh(via, "");
        ssh.env("SSHANCHOR_CONFIG", &config);
        ssh
    };
    works(&mut passed(&world.jump("[%h]:%p")), "::1");
    works(&mut passed(&world.jump("127.0.0.1:%p")), HOST);
    let nobody = Port::free();
    let beyond = world.jump(&format!("127.0.0.1:{}", nobody.number()));
    is_stopped(
        &mut passed(&beyond),
        HOST,
        &["the --via command (", "ended with status 255: ", "Connection refused"],
    );
    is_stopped(&mut passed("false"), HOST, &["the --via command (false) ended with status 1"]);
    is_stopped(&mut passed("/nowhere/ssh"), HOST, &["cannot start the --via command (/nowhere/ssh)"]);
    world.no_jump_is_left();
}
