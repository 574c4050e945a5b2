//! Ways of ssh to a host that lead through something else: ProxyJump, ProxyCommand, `-J`. What connects by itself goes
//! none of them, and has to say so.

use shlex::split;

use crate::proto::text::cut;

/// ssh's options that take an argument (its getopt string, OpenSSH 9.9).
const WITH_ARGUMENT: &str = "BbcDEeFIiJLlmOoPpQRSWw";
/// How much of one is shown, in characters.
const SHOWN: usize = 100;

/// A way through something else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Jump {
    /// As it is written: `ProxyJump bastion`.
    pub by: String,
    /// It is certain; else it depends on what ssh or Ansible alone can tell.
    pub is_sure: bool,
}

impl Jump {
    /// By `ProxyJump`.
    pub fn host(hosts: &str, is_sure: bool) -> Option<Self> {
        let is_none = hosts.is_empty() || hosts.eq_ignore_ascii_case("none");
        (!is_none).then(|| Self::by("ProxyJump", hosts, is_sure))
    }

    /// By `ProxyCommand`. `sshanchor proxy` without `--via` connects directly.
    pub fn command(command: &str, is_sure: bool) -> Option<Self> {
        Self::command_of(&words(command), is_sure)
    }

    /// The same of a command in words.
    pub fn command_of(words: &[String], is_sure: bool) -> Option<Self> {
        let of_shell: Vec<&str> =
            words.iter().map(String::as_str).skip_while(|word| *word == "exec").collect();
        let program = of_shell.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
        let is_own = program == "sshanchor"
            && of_shell.contains(&"proxy")
            && !of_shell.iter().any(|word| *word == "--via" || word.starts_with("--via="));
        let is_none = matches!(of_shell.as_slice(), [] | [""]) || program.eq_ignore_ascii_case("none");
        (!is_none && !is_own).then(|| Self::by("ProxyCommand", &words.join(" "), is_sure))
    }

    /// By arguments of ssh's, as they stand in `ansible_ssh_common_args`; `texts` in the order in which ssh gets them, of
    /// which the first word counts. What a template may hold is not known.
    pub fn arguments<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut words = texts.into_iter().flat_map(words);
        let (mut is_template, mut no_jump) = (false, false);
        while let Some(word) = words.next() {
            is_template |= word.contains("{{") || word.contains("{%");
            let Some(letters) = word.strip_prefix('-') else { continue };
            let Some((at, letter)) = letters.char_indices().find(|(_, c)| WITH_ARGUMENT.contains(*c)) else {
                continue;
            };
            let attached = letters.get(at + letter.len_utf8()..).unwrap_or_default().to_owned();
            let argument = if attached.is_empty() { words.next().unwrap_or_default() } else { attached };
            match letter {
                'J' if no_jump => {}
                'J' => return Self::host(&argument, true),
                'o' => {
                    let argument = argument.trim_start();
                    let (keyword, value) = argument
                        .split_once(|c: char| c == '=' || c.is_whitespace())
                        .unwrap_or((argument, ""));
                    let value = value.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
                    match keyword.to_ascii_lowercase().as_str() {
                        "proxyjump" if no_jump => {}
                        "proxyjump" => match Self::host(value, true) {
                            // Of a ProxyCommand that says nothing (OpenSSH 9.2).
                            None => no_jump = true,
                            jump => return jump,
                        },
                        "proxycommand" => return Self::command(value, true),
                        _ => is_template |= argument.contains("{{") || argument.contains("{%"),
                    }
                }
                _ => {}
            }
        }
        is_template.then(|| Jump { by: "a template".to_owned(), is_sure: false })
    }

    fn by(keyword: &str, value: &str, is_sure: bool) -> Self {
        Jump { by: cut(&format!("{keyword} {}", value.trim()), SHOWN).into_owned(), is_sure }
    }
}

/// As a shell parts them; where quotes do not match, between white space.
fn words(text: &str) -> Vec<String> {
    split(text).unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(jump: Option<Jump>) -> Option<String> {
        jump.map(|jump| if jump.is_sure { jump.by } else { format!("{}?", jump.by) })
    }

    #[test]
    fn arguments_are_read_as_ssh_reads_them() {
        for (text, jump) in [
            ("-J bastion", Some("ProxyJump bastion")),
            ("-Jme@bastion:2222", Some("ProxyJump me@bastion:2222")),
            ("-qJ bastion", Some("ProxyJump bastion")),
            ("-o ProxyJump=bastion", Some("ProxyJump bastion")),
            ("-oproxyjump=bastion", Some("ProxyJump bastion")),
            ("-o 'ProxyJump bastion'", Some("ProxyJump bastion")),
            ("-o ProxyCommand=\"ssh -W %h:%p -q bastion\"", Some("ProxyCommand ssh -W %h:%p -q bastion")),
            ("-o 'ProxyCommand = nc %h %p'", Some("ProxyCommand nc %h %p")),
            ("-o ControlMaster=auto -o ProxyJump={{ gate }}", Some("ProxyJump {{")),
            ("{{ common }}", Some("a template?")),
            // The first one counts, and none is none.
            ("-o ProxyJump=none -J bastion", None),
            ("-o ProxyJump=none -o 'ProxyCommand=nc %h %p'", Some("ProxyCommand nc %h %p")),
            ("-o ProxyCommand=none", None),
            ("-o ProxyCommand='sshanchor proxy %h %p'", None),
            ("-C -o ControlMaster=auto -o ControlPersist=60s", None),
            ("-i -J -F config", None),
            ("-J", None),
            ("", None),
        ] {
            assert_eq!(by(Jump::arguments([text])).as_deref(), jump, "{text}");
        }
        let several = Jump::arguments(["-C", "-J first", "-J second"]);
        assert_eq!(by(several).as_deref(), Some("ProxyJump first"));
    }

    #[test]
    fn sshanchor_s_own_proxy_connects_directly() {
        for (command, is_jump) in [
            ("sshanchor proxy %h %p", false),
            ("exec /usr/bin/sshanchor --config x proxy --identity web1 %h %p", false),
            ("'/opt/my tools/sshanchor' proxy %h %p", false),
            ("sshanchor proxy --via 'ssh -W [%h]:%p bastion' %h %p", true),
            ("sshanchor proxy --via='ssh -W [%h]:%p bastion' %h %p", true),
            ("nc -X connect -x proxy:3128 %h %p", true),
            ("ssh -W %h:%p 'bastion", true),
            ("none", false),
            ("None ", false),
        ] {
            assert_eq!(Jump::command(command, true).is_some(), is_jump, "{command}");
        }
        assert!(Jump::command(&"x".repeat(1000), true).unwrap().by.len() < 150);
    }
}
