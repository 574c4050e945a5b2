//! Words in ssh_config, for those who split them: ssh itself or the user's shell.

/// Why a word cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// It would end the line, or worse.
    #[error("{0:?} has a control character, which no line of ssh_config can hold")]
    Control(String),
    /// ssh would put an environment variable in its place, and has no way to say that it is not to.
    #[error("{0:?} has ${{, which ssh takes for a variable")]
    Variable(String),
    /// Some versions of ssh would read it otherwise.
    #[error("{0:?} has {1:?}, which not every ssh reads alike in a file name")]
    Character(String, char),
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./:@+=,".contains(c)
}

fn check(word: &str) -> Result<(), QuoteError> {
    match word.chars().any(char::is_control) {
        true => Err(QuoteError::Control(word.to_owned())),
        false => Ok(()),
    }
}

/// A word of KnownHostsCommand behind the program: ssh splits the line, with quotes and backslashes, and then
/// replaces `%` tokens and `${}` in each word.
pub fn in_command(word: &str) -> Result<String, QuoteError> {
    if word.contains("${") {
        return Err(QuoteError::Variable(word.to_owned()));
    }
    program(word).map(|word| word.replace('%', "%%"))
}

/// The first word of KnownHostsCommand, in which nothing is replaced.
pub fn program(word: &str) -> Result<String, QuoteError> {
    check(word)?;
    match !word.is_empty() && word.chars().all(plain) {
        true => Ok(word.to_owned()),
        false => Ok(format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))),
    }
}

/// A word of ProxyCommand: ssh replaces `%` tokens and hands the line to the user's shell.
pub fn in_shell(word: &str) -> Result<String, QuoteError> {
    shell_word(word).map(|word| word.replace('%', "%%"))
}

/// Words to be typed into a shell, each by [`shell_word`].
pub fn shell_line(words: &[String]) -> Result<String, QuoteError> {
    let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect::<Result<_, _>>()?;
    Ok(words.join(" "))
}

/// A word to be typed into a shell, which need not be one of Bourne's kind. ssh itself wants the quotes of a line to
/// be in pairs as it counts them, so that no backslash may stand within them.
pub fn shell_word(word: &str) -> Result<String, QuoteError> {
    check(word)?;
    if !word.is_empty() && word.chars().all(plain) {
        return Ok(word.to_owned());
    }
    let mut quoted = String::from("'");
    for c in word.chars() {
        match c {
            '\'' => quoted += r"'\''",
            '\\' => quoted += r"'\\'",
            _ => quoted.push(c),
        }
    }
    Ok(quoted + "'")
}

/// A file name as the value of an option. Before 8.4 ssh replaces no tokens in it, later it does.
pub fn in_value(word: &str) -> Result<String, QuoteError> {
    check(word)?;
    if let Some(wrong) = word.chars().find(|c| matches!(c, '%' | '"' | '\'' | '\\' | '$' | '#')) {
        return Err(QuoteError::Character(word.to_owned(), wrong));
    }
    match !word.is_empty() && word.chars().all(|c| plain(c) || c == '~') {
        true => Ok(word.to_owned()),
        false => Ok(format!("\"{word}\"")),
    }
}

/// A file name for Include, which takes it for a pattern. One that matches nothing is passed over in silence, and
/// `~` is the home that HOME names: it has to be a whole path.
pub fn in_include(path: &str) -> Result<String, QuoteError> {
    match path.chars().find(|c| matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '~')) {
        Some(wrong) => Err(QuoteError::Character(path.to_owned(), wrong)),
        None => in_value(path),
    }
}
