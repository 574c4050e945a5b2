use super::super::exposition::tests::value;
use super::super::status::samples::{NOW, unwell, well};
use super::*;

#[test]
fn what_an_agent_knows_is_there() {
    let text = text(&well());
    for (series, want) in [
        ("sshanchor_build_info{version=\"0.1.0\"}", 1),
        ("sshanchor_phase{phase=\"idle\"}", 1),
        ("sshanchor_phase{phase=\"stuck\"}", 0),
        ("sshanchor_last_success_timestamp_seconds", NOW - 60),
        ("sshanchor_next_pass_timestamp_seconds", NOW + 840),
        ("sshanchor_failures_total{reason=\"timeout\"}", 2),
        ("sshanchor_published_records{owner=\"web1.example.com\"}", 2),
        ("sshanchor_foreign_records{owner=\"web1.example.com\"}", 0),
        ("sshanchor_drift{owner=\"web1.example.com\"}", 0),
        ("sshanchor_proven{owner=\"web1.example.com\"}", 1),
        ("sshanchor_name_servers{owner=\"web1.example.com\",status=\"current\"}", 2),
        ("sshanchor_signature_expiry_timestamp_seconds{owner=\"web1.example.com\"}", NOW + 604_800),
    ] {
        assert_eq!(value(&text, series), want, "{series}");
    }
    assert!(!text.contains("rotation") && !text.contains("trouble"), "{text}");
}

#[test]
fn trouble_shows_and_no_value_breaks_its_line() {
    let text = text(&unwell());
    for (series, want) in [
        ("sshanchor_last_success_timestamp_seconds", 0),
        ("sshanchor_trouble{reason=\"clock\",hard=\"true\"}", 1),
        ("sshanchor_owner_trouble{owner=\"web1.example.com\",reason=\"timeout\",hard=\"false\"}", 1),
        ("sshanchor_failures_total{reason=\"a \\\"b\\\" \\\\ \\n\"}", 1),
        ("sshanchor_drift{owner=\"web1.example.com\"}", 1),
        ("sshanchor_proven{owner=\"web1.example.com\"}", 0),
        ("sshanchor_rotation_stage{key_type=\"ssh-ed25519\",stage=\"caches\"}", 1),
    ] {
        assert_eq!(value(&text, series), want, "{series}");
    }
    assert!(!text.contains('\x1b') && !text.contains("certificate_expiry"), "{text}");
    assert!(text.lines().all(|line| line.starts_with("# ") || line.starts_with("sshanchor_")), "{text}");
}

#[test]
fn each_family_stands_once_with_its_help_and_all_are_known() {
    let mut both = text(&unwell());
    both.push_str(&text(&well()));
    let known: Vec<&str> = names().collect();
    for name in &known {
        assert!(both.contains(&format!("# TYPE {name} ")), "{name} is in neither");
    }
    let text = text(&unwell());
    let mut told = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(known.contains(&name) && !told.contains(&name), "{line}");
            told.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(told.last(), Some(&name), "{line} stands by itself");
        }
    }
}
