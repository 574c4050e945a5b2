//! Completions and man pages of a program, from its definition for clap.

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Command;
use clap::builder::Resettable;
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Where each file goes below `share`, and what is in it.
pub fn files(program: &Command) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let name = program.get_name().to_owned();
    for (shell, place) in [
        (Shell::Bash, format!("bash-completion/completions/{name}")),
        (Shell::Zsh, format!("zsh/vendor-completions/_{name}")),
        (Shell::Fish, format!("fish/vendor_completions.d/{name}.fish")),
    ] {
        let mut text = Vec::new();
        generate(shell, &mut program.clone(), &name, &mut text);
        files.insert(place, text);
    }
    let mut whole = program.clone();
    whole.build();
    pages(&whole, &name, None, &mut files)?;
    Ok(files)
}

/// The page of `command`, and of each command below it: `sshanchor-ca-sign(1)`.
fn pages(
    command: &Command,
    name: &str,
    above: Option<&str>,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> io::Result<()> {
    files.insert(format!("man/man1/{name}.1"), page(command, name, above)?);
    for below in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        pages(below, &format!("{name}-{}", below.get_name()), Some(name), files)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str, above: Option<&str>) -> io::Result<Vec<u8>> {
    let after = command.get_after_long_help().or(command.get_after_help());
    let after = after.map(ToString::to_string).unwrap_or_default();
    let shown = command.clone().display_name(name.to_owned());
    let shown = shown.after_help(Resettable::Reset).after_long_help(Resettable::Reset);
    let has_subcommands = shown.get_subcommands().any(|c| !c.is_hide_set());
    let man = Man::new(shown);
    let mut page = Vec::new();
    let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    writeln!(page, r#".TH "{title}" 1 "" "sshanchor {version}" "sshanchor""#)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_subcommands {
        man.render_subcommands_section(&mut page)?;
    }
    let mut end = Roff::new();
    Told::read(&after).write(&mut end);
    end.control("SH", ["SEE ALSO"]);
    let see = above.unwrap_or("ssh-keygen");
    end.text([bold(see), roman("(1), "), bold("ssh_config"), roman("(5)")]);
    page.write_all(end.to_roff().as_bytes())?;
    Ok(page)
}

/// What the help of a command ends with: lines that begin with spaces stay as they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What to type.
    pub examples: Vec<String>,
    /// What is said besides.
    pub notes: Vec<String>,
    /// A sentence.
    pub exit_status: Vec<String>,
}

impl Told {
    /// Sorts the lines by the words that they begin with: `Example:`, `Examples:`, `Exit status:`.
    pub fn read(text: &str) -> Self {
        let (mut told, mut indent) = (Told::default(), None);
        for line in text.lines() {
            let is_indented = line.starts_with(' ');
            let more_of_status = told.exit_status.last().is_some_and(|line: &String| !line.ends_with('.'));
            let label = ["Examples: ", "Example: "].iter().find(|label| line.starts_with(**label));
            if let Some(label) = label {
                indent = Some(label.len());
                told.examples.extend(line.get(label.len()..).map(str::to_owned));
            } else if let (Some(width), true) = (indent, is_indented) {
                let spaces = line.len() - line.trim_start().len();
                told.examples.extend(line.get(width.min(spaces)..).map(str::to_owned));
            } else if let Some(status) = line.strip_prefix("Exit status: ") {
                indent = None;
                told.exit_status.push(status.to_owned());
            } else if more_of_status {
                told.exit_status.push(line.to_owned());
            } else {
                indent = None;
                told.notes.push(line.to_owned());
            }
        }
        told
    }

    fn write(&self, page: &mut Roff) {
        for (title, lines) in
            [("EXAMPLES", &self.examples), ("NOTES", &self.notes), ("EXIT STATUS", &self.exit_status)]
        {
            if lines.is_empty() {
                continue;
            }
            page.control("SH", [title]);
            let mut is_literal = false;
            for line in lines {
                let literal = title == "EXAMPLES" || line.starts_with(' ');
                if literal != is_literal {
                    page.control(if literal { "nf" } else { "fi" }, []);
                } else if line.is_empty() && !literal {
                    page.control("PP", []);
                    continue;
                } else if !literal && title == "NOTES" {
                    page.control("br", []);
                }
                is_literal = literal;
                page.text([roman(line.clone())]);
            }
            if is_literal {
                page.control("fi", []);
            }
        }
    }
}
