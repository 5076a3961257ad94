//! The one place of the commands that writes to the terminal.

use std::io::{self, Write as _};

use super::args::Color;
use crate::{
    context::Context,
    exit::Fault,
    facts,
    report::{FORMATS, Style, Targets},
    source,
    ui::Progress,
    verdict::Report,
};

/// How to talk to the user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) stdout: Style,
    pub(crate) stderr_color: bool,
    pub(crate) stderr_terminal: bool,
    pub(crate) progress: bool,
}

impl Output {
    /// Decides by flag, environment and terminal.
    pub(crate) fn new(color: Color, context: &Context) -> Self {
        let allows = |terminal| match color {
            Color::Auto => context.allows_color(terminal),
            Color::Always => true,
            Color::Never => false,
        };
        Self {
            stdout: Style { color: allows(context.stdout_terminal), width: context.width(), verbose: false },
            stderr_color: allows(context.stderr_terminal),
            stderr_terminal: context.stderr_terminal && !context.ci,
            progress: true,
        }
    }

    /// The same with a terminal report that leaves nothing out.
    pub(crate) fn telling(self, verbose: bool) -> Self {
        Self { stdout: Style { verbose, ..self.stdout }, ..self }
    }

    /// Progress in the form that fits standard error.
    pub(crate) fn progress(&self) -> Progress {
        match (self.progress, self.stderr_terminal) {
            (false, _) => Progress::silent(),
            (true, true) => Progress::bar(),
            (true, false) => Progress::lines(),
        }
    }

    /// Prints a result to standard output; a reader that went away is no error.
    #[expect(clippy::unused_self, reason = "who holds an output may write, nobody else")]
    pub(crate) fn print(&self, text: &str) -> Result<(), Fault> {
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Fault::internal("write the output", error)),
            _ => Ok(()),
        }
    }

    /// Tells the user something on standard error.
    #[expect(clippy::unused_self, reason = "who holds an output may write, nobody else")]
    pub(crate) fn say(&self, text: &str) {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Shows why a command ended without a result.
    pub(crate) fn fault(&self, fault: &Fault) {
        match fault {
            Fault::Input(diagnostics) => {
                self.say(&facts::masked(&source::render(&diagnostics.0, self.stderr_color)));
                let errors = diagnostics.0.len();
                if errors > 1 {
                    self.say(&format!("\n{errors} problems found"));
                }
            }
            Fault::Internal(message) => self.say(&format!("internal error: {}", crate::text::printable(message))),
        }
    }

    /// Writes every report; without one for standard output the human one goes there (or to standard error when a
    /// machine format owns standard output).
    pub(crate) fn reports(&self, report: &Report, targets: Targets) -> Result<(), Fault> {
        let human = FORMATS.iter().find(|format| format.name == "terminal").expect("the terminal format is built in");
        let style = Style { color: self.stderr_color, ..self.stdout };
        let owner = targets.on_stdout();
        let shown = match owner {
            None => (human.render)(report, &mut io::stdout().lock(), &self.stdout),
            Some(format) if format.name == human.name => Ok(()),
            Some(_) => (human.render)(report, &mut io::stderr().lock(), &style),
        };
        let written = targets.write_all(report, &self.stdout, &mut io::stdout().lock());
        match shown {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                return Err(Fault::internal("print the report", error));
            }
            _ => {}
        }
        written.map_err(|errors| Fault::Internal(errors.iter().map(|error| told(error)).collect::<Vec<_>>().join("; ")))
    }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
