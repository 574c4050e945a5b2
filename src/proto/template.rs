//! Commands with gaps (`ssh -W [%h]:%p jump`): split into words first and filled in afterwards, so that nothing that
//! stands in for a gap can become another word. No shell ever sees them.

/// A command with its gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    program: String,
    arguments: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Gap(char),
}

/// Why something is not such a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A quotation mark without its other, or a backslash at the end.
    #[error("its quotes do not match")]
    Quotes,
    /// No word, or an empty first one.
    #[error("it names no program")]
    NoProgram,
    /// What is run would depend on what fills the gap.
    #[error("the program itself cannot hold {}", .0.iter().map(|c| format!("%{c}")).collect::<Vec<_>>().join(" or "))]
    Program(Vec<char>),
    /// A `%` that stands for nothing.
    #[error("{0} means nothing")]
    Percent(String),
    /// It would end the word for the system.
    #[error("it holds a NUL")]
    Nul,
}

/// The words with blanks between, gaps as they were written: for people.
impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program)?;
        for argument in &self.arguments {
            write!(f, " ")?;
            for piece in argument {
                match piece {
                    Piece::Text(text) => write!(f, "{text}")?,
                    Piece::Gap(gap) => write!(f, "%{gap}")?,
                }
            }
        }
        Ok(())
    }
}

impl Template {
    /// Splits as a POSIX shell does (single and double quotes, backslashes, `#` for a comment), and reads `%` and one
    /// of `gaps`, and `%%`, in the words.
    pub fn parse(text: &str, gaps: &[char]) -> Result<Self, TemplateError> {
        if text.contains('\0') {
            return Err(TemplateError::Nul);
        }
        let words = shlex::split(text).ok_or(TemplateError::Quotes)?;
        let mut words = words.iter().map(|word| pieces(word, gaps));
        let program = match words.next().ok_or(TemplateError::NoProgram)??.as_slice() {
            [Piece::Text(program)] => program.clone(),
            [] => return Err(TemplateError::NoProgram),
            _ => return Err(TemplateError::Program(gaps.to_vec())),
        };
        Ok(Template { program, arguments: words.collect::<Result<_, _>>()? })
    }

    /// The program, as it was written.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Its arguments, with what `fill` puts into each gap.
    pub fn arguments(&self, fill: impl Fn(char) -> String) -> Vec<String> {
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Gap(gap) => fill(*gap),
        };
        self.arguments.iter().map(|word| word.iter().map(fill).collect()).collect()
    }
}

/// A word in pieces; those of text are never empty, and never two in a row.
fn pieces(word: &str, gaps: &[char]) -> Result<Vec<Piece>, TemplateError> {
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), word.chars());
    while let Some(c) = rest.next() {
        let gap = match (c, if c == '%' { rest.next() } else { None }) {
            ('%', Some('%')) => {
                text.push('%');
                continue;
            }
            ('%', Some(gap)) if gaps.contains(&gap) => gap,
            ('%', other) => {
                return Err(TemplateError::Percent(
                    other.map_or("% at the end".to_owned(), |c| format!("%{c}")),
                ));
            }
            (c, _) => {
                text.push(c);
                continue;
            }
        };
        pieces.extend(Some(std::mem::take(&mut text)).filter(|text| !text.is_empty()).map(Piece::Text));
        pieces.push(Piece::Gap(gap));
    }
    pieces.extend(Some(text).filter(|text| !text.is_empty()).map(Piece::Text));
    Ok(pieces)
}
