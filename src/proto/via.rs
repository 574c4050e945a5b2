//! A command by which a host is reached: `ssh -W [%h]:%p jump`. It is split into words first and filled in
//! afterwards, and no shell ever sees it: nothing that stands in for `%h` can become another word.

use super::place::Place;

/// A command with its gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    program: String,
    arguments: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Host,
    Port,
}

/// Why something is not such a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViaError {
    /// A quotation mark without its other, or a backslash at the end.
    #[error("its quotes do not match")]
    Quotes,
    /// No word, or an empty first one.
    #[error("it names no program")]
    NoProgram,
    /// The program would depend on the host.
    #[error("the program itself cannot hold %h or %p")]
    Program,
    /// A `%` that stands for nothing.
    #[error("{0} means nothing: %h is the host, %p the port, %% a percent sign")]
    Percent(String),
    /// It would end the word for the system.
    #[error("it holds a NUL")]
    Nul,
}

impl Via {
    /// Splits as a POSIX shell does (single and double quotes, backslashes, `#` for a comment), and reads `%h`, `%p`
    /// and `%%` in the words.
    pub fn parse(text: &str) -> Result<Self, ViaError> {
        if text.contains('\0') {
            return Err(ViaError::Nul);
        }
        let words = shlex::split(text).ok_or(ViaError::Quotes)?;
        let mut words = words.iter().map(|word| pieces(word));
        let program = match words.next().ok_or(ViaError::NoProgram)??.as_slice() {
            [Piece::Text(program)] => program.clone(),
            [] => return Err(ViaError::NoProgram),
            _ => return Err(ViaError::Program),
        };
        Ok(Via { program, arguments: words.collect::<Result<_, _>>()? })
    }

    /// The program, as it was written.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Its arguments, for this host (an IPv6 address without brackets) and port.
    pub fn arguments(&self, place: &Place, port: u16) -> Vec<String> {
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Host => place.to_string(),
            Piece::Port => port.to_string(),
        };
        self.arguments.iter().map(|word| word.iter().map(fill).collect()).collect()
    }
}

/// A word in pieces; those of text are never empty, and never two in a row.
fn pieces(word: &str) -> Result<Vec<Piece>, ViaError> {
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), word.chars());
    while let Some(c) = rest.next() {
        let piece = match (c, if c == '%' { rest.next() } else { None }) {
            ('%', Some('h')) => Piece::Host,
            ('%', Some('p')) => Piece::Port,
            ('%', Some('%')) => {
                text.push('%');
                continue;
            }
            ('%', other) => {
                return Err(ViaError::Percent(other.map_or("% at the end".to_owned(), |c| format!("%{c}"))));
            }
            (c, _) => {
                text.push(c);
                continue;
            }
        };
        pieces.extend(Some(std::mem::take(&mut text)).filter(|text| !text.is_empty()).map(Piece::Text));
        pieces.push(piece);
    }
    pieces.extend(Some(text).filter(|text| !text.is_empty()).map(Piece::Text));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(text: &str, host: &str) -> Result<Vec<String>, ViaError> {
        let via = Via::parse(text)?;
        let mut argv = vec![via.program().to_owned()];
        argv.extend(via.arguments(&Place::parse(host).unwrap(), 2222));
        Ok(argv)
    }

    #[test]
    fn words_are_split_before_they_are_filled_in() {
        for (text, host, expected) in [
            (
                "ssh -W [%h]:%p jump",
                "web1.example.com",
                &["ssh", "-W", "[web1.example.com]:2222", "jump"][..],
            ),
            ("ssh -W [%h]:%p jump", "2001:db8::1", &["ssh", "-W", "[2001:db8::1]:2222", "jump"]),
            ("ssh -W [%h]:%p jump", "[fe80::1%eth0]", &["ssh", "-W", "[fe80::1%eth0]:2222", "jump"]),
            (r#"  'my ssh' -o "a b\"c" d\ e '' "#, "a", &["my ssh", "-o", "a b\"c", "d e", ""]),
            ("nc %h%%h %%%p '%h' # the rest", "a", &["nc", "a%h", "%2222", "a"]),
            ("50%%/nc $HOME `id` $(id) * ~", "a", &["50%/nc", "$HOME", "`id`", "$(id)", "*", "~"]),
        ] {
            assert_eq!(argv(text, host).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (text, why) in [
            ("", ViaError::NoProgram),
            ("  ", ViaError::NoProgram),
            ("# nothing", ViaError::NoProgram),
            ("'' -W x", ViaError::NoProgram),
            ("ssh 'a", ViaError::Quotes),
            ("ssh \"a", ViaError::Quotes),
            ("ssh a\\", ViaError::Quotes),
            ("%h", ViaError::Program),
            ("bin/%p x", ViaError::Program),
            ("ssh %r@jump", ViaError::Percent("%r".into())),
            ("ssh 100%", ViaError::Percent("% at the end".into())),
            ("ssh a\0b", ViaError::Nul),
        ] {
            assert_eq!(argv(text, "a"), Err(why), "{text:?}");
        }
    }
}
