//! The INI form of Ansible's inventories.

use super::range::{expand, host_and_port};
use super::{Inventory, InventoryError, UNGROUPED};

/// What the lines of a section are.
#[derive(Debug, Clone, Copy)]
enum Section {
    Hosts,
    Children,
    Vars,
}

impl Inventory {
    /// Adds what `text` says.
    pub fn add_ini(&mut self, text: &str) -> Result<(), InventoryError> {
        let (mut group, mut section) = (UNGROUPED.to_owned(), Section::Hosts);
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let bad = |why: String| InventoryError::Line(at + 1, why);
            if let Some((name, kind)) = header(line) {
                section = match kind {
                    None => Section::Hosts,
                    Some("children") => Section::Children,
                    Some("vars") => Section::Vars,
                    Some(other) => return Err(bad(format!("no section is called {other:?}"))),
                };
                name.clone_into(&mut group);
                self.add_group(&group)?;
                continue;
            }
            if line.starts_with('[') && line.ends_with(']') && !line.contains(char::is_whitespace) {
                return Err(bad(format!("{line} is no section")));
            }
            match section {
                Section::Hosts => self.add_line(&group, line).map_err(|error| match error {
                    InventoryError::Form(why) => bad(why),
                    other => other,
                })?,
                Section::Children => {
                    let child = line.split('#').next().unwrap_or_default().trim();
                    if child.is_empty() || child.contains([':', ']', ' ', '\t']) {
                        return Err(bad(format!("{child:?} is no group")));
                    }
                    self.put_child(&group, child)?;
                }
                Section::Vars => {
                    let (name, value) =
                        line.split_once('=').ok_or_else(|| bad("want NAME=VALUE".to_owned()))?;
                    self.set_of_group(&group, name.trim(), literal(value.trim()))?;
                }
            }
        }
        Ok(())
    }

    /// `HOST[:PORT] NAME=VALUE...`
    fn add_line(&mut self, group: &str, line: &str) -> Result<(), InventoryError> {
        let words =
            words(line).ok_or_else(|| InventoryError::Form("a quote without its other half".to_owned()))?;
        let Some((pattern, rest)) = words.split_first() else { return Ok(()) };
        let (hosts, port) = host_and_port(pattern);
        let port = port.map(|port| port.to_string());
        for host in expand(hosts)? {
            self.put(group, &host)?;
            if let Some(port) = &port {
                self.set(&host, "ansible_port", port);
            }
            for word in rest {
                let (name, value) = word.split_once('=').ok_or_else(|| {
                    InventoryError::Form(format!("{word:?}: want NAME=VALUE behind a host"))
                })?;
                self.set(&host, name, literal(value));
            }
        }
        Ok(())
    }
}

/// `[GROUP]` or `[GROUP:KIND]`, and perhaps a comment.
fn header(line: &str) -> Option<(&str, Option<&str>)> {
    let (inside, behind) = line.strip_prefix('[')?.split_once(']')?;
    let behind = behind.trim_start();
    if !(behind.is_empty() || behind.starts_with('#')) || inside.contains(char::is_whitespace) {
        return None;
    }
    let (name, kind) = inside.split_once(':').map_or((inside, None), |(name, kind)| (name, Some(kind)));
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    // `[0:9]` in front of a line is no section, but the beginning of a range.
    (!name.is_empty() && kind.is_none_or(is_word)).then_some((name, kind))
}

/// A value as Python reads it: quotes around it are not of it.
fn literal(value: &str) -> &str {
    for quote in ['"', '\''] {
        let inside = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        if let Some(inside) = inside.filter(|inside| !inside.contains([quote, '\\'])) {
            return inside;
        }
    }
    if value == "None" { "" } else { value }
}

/// Words as a shell parts them, up to a comment (Python's `shlex.split(comments=True)`).
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut is_word) = (Vec::new(), String::new(), false);
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        match c {
            // In the middle of a word as well.
            '#' => break,
            '\\' => {
                word.push(letters.next()?);
                is_word = true;
            }
            '\'' | '"' => {
                is_word = true;
                loop {
                    match letters.next()? {
                        end if end == c => break,
                        '\\' if c == '"' => {
                            let next = letters.next()?;
                            if next != '"' && next != '\\' {
                                word.push('\\');
                            }
                            word.push(next);
                        }
                        other => word.push(other),
                    }
                }
            }
            c if c.is_whitespace() => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            c => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    Some(words)
}
