//! Tokens in the file names of ssh_config (ssh_config(5), TOKENS), `~`, and variables of the environment.

/// What stands in the places of tokens.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a> {
    /// `%n`: the host as it was typed.
    pub typed: &'a str,
    /// `%h`: the host after HostName.
    pub host: &'a str,
    /// `%k`: HostKeyAlias, or the host as it was typed.
    pub alias: &'a str,
    /// `%p`.
    pub port: u16,
    /// `%r`: who logs in.
    pub user: &'a str,
    /// `%u`: who is here.
    pub local_user: &'a str,
    /// `%d` and `~`: their home.
    pub home: &'a str,
    /// `%i`: their number.
    pub uid: u32,
    /// `%l`: this machine's name.
    pub local_host: &'a str,
}

impl Tokens<'_> {
    /// The file; none where a token or a variable is not known (`%C` among them), for then no file is meant.
    /// `variable` is the environment, `home_of` the home of another user.
    pub fn file(
        &self,
        text: &str,
        variable: impl Fn(&str) -> Option<String>,
        home_of: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let text = match text.strip_prefix('~') {
            None => text.to_owned(),
            Some(rest) => {
                let (user, path) = rest.split_once('/').unwrap_or((rest, ""));
                let home = if user.is_empty() { self.home.to_owned() } else { home_of(user)? };
                format!("{}/{path}", home.trim_end_matches('/'))
            }
        };
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['%', '$']) {
            let (before, after) = rest.split_at(at);
            out += before;
            if let Some(braced) = after.strip_prefix("${") {
                let (name, behind) = braced.split_once('}')?;
                out += &variable(name)?;
                rest = behind;
            } else if let Some(behind) = after.strip_prefix('$') {
                out.push('$');
                rest = behind;
            } else {
                let mut letters = after.chars();
                letters.next();
                out += &self.token(letters.next()?)?;
                rest = letters.as_str();
            }
        }
        out += rest;
        Some(out)
    }

    fn token(&self, token: char) -> Option<String> {
        Some(match token {
            '%' => "%".to_owned(),
            'n' => self.typed.to_owned(),
            'h' => self.host.to_owned(),
            'k' => self.alias.to_owned(),
            'p' => self.port.to_string(),
            'r' => self.user.to_owned(),
            'u' => self.local_user.to_owned(),
            'd' => self.home.to_owned(),
            'i' => self.uid.to_string(),
            'l' => self.local_host.to_owned(),
            'L' => self.local_host.split('.').next().unwrap_or_default().to_owned(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_ssh() {
        let tokens = Tokens {
            typed: "web1",
            host: "web1.example.com",
            alias: "www",
            port: 2222,
            user: "deploy",
            local_user: "me",
            home: "/home/me",
            uid: 1000,
            local_host: "desk.example.com",
        };
        let variable = |name: &str| (name == "KEYS").then(|| "/keys".to_owned());
        let home_of = |user: &str| (user == "joe").then(|| "/home/joe/".to_owned());
        for (text, file) in [
            ("~/.ssh/id_%h", Some("/home/me/.ssh/id_web1.example.com")),
            ("~joe/key", Some("/home/joe/key")),
            ("~nobody/key", None),
            (
                "%d/%n/%k/%p/%r/%u/%i/%l/%L/100%%",
                Some("/home/me/web1/www/2222/deploy/me/1000/desk.example.com/desk/100%"),
            ),
            ("${KEYS}/%r", Some("/keys/deploy")),
            ("${NONE}/x", None),
            ("/x/%C", None),
            ("/x/%", None),
            ("/x/$y", Some("/x/$y")),
            ("/x/~", Some("/x/~")),
        ] {
            assert_eq!(tokens.file(text, variable, home_of).as_deref(), file, "{text}");
        }
    }
}
