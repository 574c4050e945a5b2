//! Certificates that `ssh-keygen -s` makes, shown by sshd.

use super::*;

const SMALL_RSA: &str =
    "ssh takes RSA from 1024 bits on (RequiredRSASize); less than 2048 proves nothing here";
const NO_PRINCIPALS: &str = "to ssh a host certificate without principals is every host's";
const REVOKED: &str = "ssh knows of revoked keys by RevokedHostKeys alone (sshanchor export krl)";
const DOT: &str =
    "ssh takes the final dot for part of the name; here it is the same name, and ssh's own refusal stays";

const OF_HOST: &[&str] = &["-n", HOST];

pub(super) fn rows() -> Vec<Row> {
    use Made::Keygen;
    use Server::{Revoked, Sshd};
    let keygen =
        |name, arguments, ours, ssh| row(name, Sshd("ed25519"), Keygen("ed25519", arguments), ours, ssh);
    let mut rows: Vec<Row> = Vec::new();
    // Every type of key under every type of CA, as far as there is something to be learnt.
    for key in ["ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa"] {
        rows.push(row("good, by the type of its key", Sshd(key), Keygen("ed25519", OF_HOST), "", true));
    }
    for ca in ["ecdsa256", "ecdsa384", "ecdsa521", "rsa2048", "rsa3072"] {
        rows.push(row("good, by the type of its CA", Sshd("ed25519"), Keygen(ca, OF_HOST), "", true));
        rows.push(row("good, RSA by others", Sshd("rsa"), Keygen(ca, OF_HOST), "", true));
    }
    let by_rsa =
        |name, ca, arguments, ours, ssh| row(name, Sshd("ed25519"), Keygen(ca, arguments), ours, ssh);
    rows.extend([
        by_rsa("CA signature rsa-sha2-256", "rsa2048", &["-t", "rsa-sha2-256", "-n", HOST], "", true),
        by_rsa("CA signature rsa-sha2-512", "rsa2048", &["-t", "rsa-sha2-512", "-n", HOST], "", true),
        by_rsa(
            "CA signature rsa-sha2-256, RSA 3072",
            "rsa3072",
            &["-t", "rsa-sha2-256", "-n", HOST],
            "",
            true,
        ),
        by_rsa("CA signature ssh-rsa", "rsa2048", &["-t", "ssh-rsa", "-n", HOST], "bad-certificate", false),
        by_rsa("CA of RSA 1024", "rsa1024", OF_HOST, "bad-certificate", true).why(SMALL_RSA),
        by_rsa("CA of RSA 2047", "rsa2047", OF_HOST, "bad-certificate", true).why(SMALL_RSA),
        row("key of RSA 1024", Sshd("rsa1024"), Keygen("ed25519", OF_HOST), "bad-certificate", true)
            .why(SMALL_RSA),
        row("key of RSA 2047", Sshd("rsa2047"), Keygen("ed25519", OF_HOST), "bad-certificate", true)
            .why(SMALL_RSA),
    ]);
    rows.extend([
        keygen("expired", &["-n", HOST, "-V", "-2d:-1d"], "certificate-expired", false),
        keygen("not yet valid", &["-n", HOST, "-V", "+1d:+2d"], "certificate-not-yet-valid", false),
        keygen("ends within the hour", &["-n", HOST, "-V", "-1h:+30m"], "", true),
        keygen("for ever", &["-n", HOST, "-V", "always:forever"], "", true),
        keygen("no principals", &[], "certificate-other-name", true).why(NO_PRINCIPALS),
        keygen("wildcard principal", &["-n", "*.example.test"], "certificate-other-name", false),
        keygen("pattern of one letter", &["-n", "web?.example.test"], "certificate-other-name", false),
        keygen("other name", &["-n", "web2.example.test"], "certificate-other-name", false),
        keygen("name of the zone", &["-n", "example.test"], "certificate-other-name", false),
        keygen("beginning of the name", &["-n", "web1"], "certificate-other-name", false),
        keygen("name in upper case", &["-n", "WEB1.EXAMPLE.TEST"], "certificate-other-name", false),
        keygen("name with a final dot", &["-n", "web1.example.test."], "certificate-other-name", false),
        keygen("typed in upper case", OF_HOST, "", true).asked("WEB1.Example.Test"),
        keygen("typed with a final dot", OF_HOST, "", false).asked("web1.example.test.").why(DOT),
        keygen("name among several", &["-n", "a.example.test,web1.example.test,z.example.test"], "", true),
        keygen("unknown extension", &["-n", HOST, "-O", "extension:hello@example.test=x"], "", true),
        keygen("a serial and a long key id", &["-n", HOST, "-z", "18446744073709551615"], "", true),
        row("CA not in the set", Sshd("ed25519"), Keygen("stranger", OF_HOST), "ca-not-published", false),
        row("CA revoked", Sshd("ed25519"), Keygen("revoked", OF_HOST), "revoked", true).why(REVOKED),
        row("key revoked", Revoked, Keygen("ed25519", OF_HOST), "revoked", true).why(REVOKED),
        keygen("CA in the parent's zone only", &["-n", "web1.sub.example.test"], "no-record", true)
            .asked("web1.sub.example.test")
            .why("a CA set speaks for hosts of its own zone; known_hosts knows of no zones"),
    ]);
    rows
}
