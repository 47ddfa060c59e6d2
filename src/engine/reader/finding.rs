//! What is wrong, where, and what to do about it.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot run like this.
    Error,
    /// It can run, and is probably not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One mistake. Its fields, in this order, are the keys of its JSON.
///
/// `Display` prints it as a person reads it: place and message, the line with carets under the word, the help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as the show names it.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// Characters of the word that is meant, at least 1.
    pub length: usize,
    /// Its stable name, one of [`super::code::ALL`].
    pub code: &'static str,
    /// A lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line itself; empty where there is none, or where it is too long to be read.
    pub text_of_line: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, file, line, column, message, text_of_line, .. } = self;
        write!(f, "{file}:{line}:{column}: {severity}: {message}")?;
        if !text_of_line.is_empty() {
            write!(f, "\n  {text_of_line}\n  {}{}", self.indent(), "^".repeat(self.length))?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl Finding {
    /// As wide as what stands before the word; tabs stay tabs, so that the carets stand under it.
    fn indent(&self) -> String {
        let before = self.text_of_line.chars().take(self.column - 1);
        before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
    }
}

/// All findings as one JSON document: `{"findings":[…],"errors":n,"warnings":n}`.
pub fn json(findings: &[Finding]) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        findings: &'a [Finding],
        errors: usize,
        warnings: usize,
    }
    let errors = findings.iter().filter(|it| it.severity == Severity::Error).count();
    let document = Document { findings, errors, warnings: findings.len() - errors };
    serde_json::to_string(&document).expect("findings are text and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding {
            severity: Severity::Error,
            file: "show.toml".into(),
            line: 3,
            column: 2,
            length: 3,
            code: "unknown-key",
            message: "unknown key `fad`".into(),
            help: Some("did you mean `fade`?".into()),
            text_of_line: "\tfad = 1".into(),
        }
    }

    #[test]
    fn the_carets_stand_under_the_word_even_behind_a_tab() {
        let shown = "show.toml:3:2: error: unknown key `fad`\n  \tfad = 1\n  \t^^^\n  help: did you mean `fade`?";
        assert_eq!(finding().to_string(), shown);
    }

    #[test]
    fn the_json_keys_are_these() {
        let shown = concat!(
            r#"{"findings":[{"severity":"error","file":"show.toml","line":3,"column":2,"length":3,"#,
            r#""code":"unknown-key","message":"unknown key `fad`","help":"did you mean `fade`?","#,
            r#""text_of_line":"\tfad = 1"}],"errors":1,"warnings":0}"#
        );
        assert_eq!(json(&[finding()]), shown);
    }
}
