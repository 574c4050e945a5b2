//! A command by which a host is reached: `ssh -W [%h]:%p jump`. It is split into words first and filled in
//! afterwards, and no shell ever sees it: nothing that stands in for `%h` can become another word.

use super::destination::Destination;
use super::template::{Template, TemplateError};

/// A command with its gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via(Template);

/// Why something is not such a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViaError {
    /// A `%` that stands for nothing.
    #[error("{0} means nothing: %h is the host, %p the port, %% a percent sign")]
    Percent(String),
    /// Anything else.
    #[error(transparent)]
    Other(TemplateError),
}

impl From<TemplateError> for ViaError {
    fn from(error: TemplateError) -> Self {
        match error {
            TemplateError::Percent(what) => Self::Percent(what),
            other => Self::Other(other),
        }
    }
}

impl Via {
    /// Splits as a POSIX shell does (single and double quotes, backslashes, `#` for a comment), and reads `%h`, `%p`
    /// and `%%` in the words.
    pub fn parse(text: &str) -> Result<Self, ViaError> {
        Ok(Via(Template::parse(text, &['h', 'p'])?))
    }

    /// The program, as it was written.
    pub fn program(&self) -> &str {
        self.0.program()
    }

    /// Its arguments, for this host (an IPv6 address without brackets) and port.
    pub fn arguments(&self, place: &Destination, port: u16) -> Vec<String> {
        self.0.arguments(|gap| if gap == 'h' { place.to_string() } else { port.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(text: &str, host: &str) -> Result<Vec<String>, ViaError> {
        let via = Via::parse(text)?;
        let mut argv = vec![via.program().to_owned()];
        argv.extend(via.arguments(&Destination::parse(host).unwrap(), 2222));
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
            ("", ViaError::Other(TemplateError::NoProgram)),
            ("  ", ViaError::Other(TemplateError::NoProgram)),
            ("# nothing", ViaError::Other(TemplateError::NoProgram)),
            ("'' -W x", ViaError::Other(TemplateError::NoProgram)),
            ("ssh 'a", ViaError::Other(TemplateError::Quotes)),
            ("ssh \"a", ViaError::Other(TemplateError::Quotes)),
            ("ssh a\\", ViaError::Other(TemplateError::Quotes)),
            ("%h", ViaError::Other(TemplateError::Program(vec!['h', 'p']))),
            ("bin/%p x", ViaError::Other(TemplateError::Program(vec!['h', 'p']))),
            ("ssh %r@jump", ViaError::Percent("%r".into())),
            ("ssh 100%", ViaError::Percent("% at the end".into())),
            ("ssh a\0b", ViaError::Other(TemplateError::Nul)),
        ] {
            assert_eq!(argv(text, "a"), Err(why), "{text:?}");
        }
    }
}
