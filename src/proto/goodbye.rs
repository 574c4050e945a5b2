//! Whether a machine that goes down goes for good: by what systemd has under way.

/// Units whose start is the end of the machine, until somebody switches it on again (systemd.special(7)).
const FOR_GOOD: [&str; 2] = ["poweroff.target", "halt.target"];
/// Units whose start has it come back at once, with the same keys.
const COMES_BACK: [&str; 3] = ["reboot.target", "kexec.target", "soft-reboot.target"];

/// Whether `jobs` lead to a power-off and to nothing that comes back: the lines of `systemctl list-jobs --no-legend`,
/// JOB UNIT TYPE STATE. Of anything else it says no: too many records are found and removed later, too few lock out.
pub fn is_for_good(jobs: &str) -> bool {
    let starts = |units: &[&str]| {
        jobs.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.by_ref().find(|word| units.contains(word)).is_some() && words.next() == Some("start")
        })
    };
    starts(&FOR_GOOD) && !starts(&COMES_BACK)
}

#[cfg(test)]
mod tests {
    use super::is_for_good;

    const OTHERS: &str = "  61 sshanchor-agent.service stop  running\n  62 ssh.service stop  running\n";

    #[test]
    fn a_power_off_is_for_good_and_nothing_else() {
        let jobs = |unit: &str, kind: &str| format!("{OTHERS}1047 {unit:<24} {kind} waiting\n");
        for unit in ["poweroff.target", "halt.target"] {
            assert!(is_for_good(&jobs(unit, "start")), "{unit}");
            assert!(!is_for_good(&jobs(unit, "stop")), "{unit}");
            for back in ["reboot.target", "kexec.target", "soft-reboot.target"] {
                assert!(!is_for_good(&(jobs(unit, "start") + &jobs(back, "start"))), "{back}");
            }
        }
        for unit in ["reboot.target", "my-poweroff.target", "poweroff.target.wants", "rescue.target"] {
            assert!(!is_for_good(&jobs(unit, "start")), "{unit}");
        }
        for text in ["", OTHERS, "No jobs running.", "start poweroff.target", "\u{0}\n poweroff.target"] {
            assert!(!is_for_good(text), "{text:?}");
        }
    }
}
