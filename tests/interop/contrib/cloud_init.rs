//! contrib/cloud-init/user-data.yaml: its files and commands, run as cloud-init would.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::contrib;
use crate::interop::primary::{HOST, LIMIT, Primary, key, record};
use crate::support::peer::command as peer;
use crate::support::process::run_ok;
use crate::support::sandbox::clean;
use crate::support::{Finished, Sandbox, run, venv};

const FILE: &str = "cloud-init/user-data.yaml";

fn user_data() -> Value {
    let to_json = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let json = run_ok(venv::command("python").args(["-c", to_json]).arg(contrib(FILE)));
    serde_json::from_str(&json).unwrap()
}

/// The text of a file that it writes, and its mode.
fn written(data: &Value, path: &str) -> (String, u32) {
    let files = data["write_files"].as_array().unwrap();
    let file = files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("no {path}"));
    let mode = u32::from_str_radix(file["permissions"].as_str().unwrap(), 8).unwrap();
    (file["content"].as_str().unwrap().to_owned(), mode)
}

#[test]
fn its_configuration_is_good_and_its_commands_parse() {
    let text = fs::read_to_string(contrib(FILE)).unwrap();
    assert!(text.starts_with("#cloud-config\n"), "cloud-init would pass it over");
    let (data, sandbox) = (user_data(), Sandbox::new());
    let keys: Vec<&String> = data.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["runcmd", "ssh_deletekeys", "write_files"]);
    let (config, mode) = written(&data, "/etc/sshanchor/config.toml");
    assert!(mode == 0o644 && !config.contains("secret"));
    let config = sandbox.write("config.toml", &config);
    let checked = run(sandbox.sshanchor().args(["config", "check", "--config"]).arg(config), LIMIT);
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    for line in data["runcmd"].as_array().unwrap() {
        run_ok(peer("dash").args(["-n", "-c", line.as_str().unwrap()]));
    }
    // Waited for, a unit that comes after cloud-init would never start.
    let starts = |line: &&Value| line.as_str().unwrap().contains("systemctl start");
    let start = data["runcmd"].as_array().unwrap().iter().find(starts).unwrap();
    assert!(start.as_str().unwrap().contains("--no-block"));
}

/// Runs the script that fetches the key, with `aws` as it is here.
fn fetch(sandbox: &Sandbox, aws: &str) -> Finished {
    let (script, mode) = written(&user_data(), "/usr/local/sbin/sshanchor-fetch-key");
    assert_eq!(mode, 0o755);
    let folder = sandbox.join("fetched");
    fs::create_dir_all(&folder).unwrap();
    let script = script.replace("/etc/sshanchor", &folder.display().to_string());
    for (name, text) in
        [("aws", aws), ("hostname", "#!/bin/sh\necho web1.example.test\n"), ("sleep", "#!/bin/sh\n")]
    {
        let _ = fs::create_dir(sandbox.join("bin"));
        let file = sandbox.write(&format!("bin/{name}"), text);
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut dash = peer("dash");
    dash.arg(sandbox.write("fetch", &script));
    clean(&mut dash, sandbox.path());
    dash.env("PATH", format!("{}:/usr/bin:/bin", sandbox.join("bin").display()));
    run(&mut dash, LIMIT)
}

#[test]
fn the_key_is_fetched_into_a_private_file_and_publishes() {
    let primary = Primary::bind();
    let sandbox = primary.sandbox();
    let (tsig, file) = (primary.tsig("web1"), sandbox.join("fetched/tsig.key"));
    // Nothing, then a failure in the middle, then the key.
    let aws = format!(
        "#!/bin/sh\nshift 3\n[ \"$1\" = tsig/web1.example.test ] || exit 9\ncd {}\necho x >>tries\n\
         case $(wc -l <tries) in 1) exit 0 ;; 2) echo half; exit 255 ;; esac\ncat {}\n",
        sandbox.path().display(),
        tsig.display()
    );
    let fetched = fetch(sandbox, &aws);
    assert_eq!(fetched.code, Some(0), "{fetched:#?}");
    assert_eq!(fs::read_to_string(sandbox.join("tries")).unwrap().lines().count(), 3);
    assert_eq!(fs::read(&file).unwrap(), fs::read(&tsig).unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let public = key(sandbox, "host_key");
    let addr = primary.addr().to_string();
    let mut publish = sandbox.sshanchor();
    publish.args(["publish", "--name", HOST, "--server", &addr, "--check-server", &addr, "--key-file"]);
    let published = run(publish.arg(&file).arg("--host-key").arg(&public), LIMIT);
    assert!(published.code == Some(0) && !published.stderr.contains("can be read"), "{published:#?}");
    assert_eq!(primary.records(HOST).0, [record(&public)]);
}

#[test]
fn without_a_key_there_is_no_file_and_it_says_so() {
    let sandbox = Sandbox::new();
    let failed = fetch(&sandbox, "#!/bin/sh\necho half\nexit 255\n");
    assert!(
        failed.code == Some(1) && failed.stderr.contains("no TSIG key for web1.example.test"),
        "{failed:#?}"
    );
    assert_eq!(fs::read_dir(sandbox.join("fetched")).unwrap().count(), 0);
}
