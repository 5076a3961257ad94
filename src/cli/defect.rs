//! How the program ends when it finds itself in the wrong: by the code for internal errors, never by a verdict, and without
//! a process that it started.

use std::{any::Any, io::Write as _, panic::PanicHookInfo};

use crate::{agent, exit, text};

/// From here on a panic of any thread ends the program.
pub fn guard() {
    std::panic::set_hook(Box::new(|info| {
        agent::end_all();
        // A closed terminal is no reason for another code.
        let _ = writeln!(std::io::stderr().lock(), "{}", told(info));
        end();
    }));
}

#[expect(clippy::exit, reason = "nothing may go on after a defect, and no thread is there to return a code to")]
fn end() -> ! {
    std::process::exit(i32::from(exit::INTERNAL))
}

fn told(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(String::new, |at| format!(" ({}:{})", at.file(), at.line()));
    line(said(info.payload()), &place)
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no reason is known")
}

/// What failed may quote what an agent said.
fn line(said: &str, place: &str) -> String {
    let said = text::shortened(&text::printable_line(said), 500);
    format!(
        "internal error: {said}{place}\nThis is a defect of agentready and says nothing of the agent. Please report these lines."
    )
}

#[cfg(test)]
mod tests {
    use super::{line, said};

    #[test]
    fn a_defect_is_told_without_what_could_move_the_cursor() {
        let told = line(said(&"at \u{1b}[2J\n::error::x".to_owned()), " (src/a.rs:1)");
        assert!(!told.contains('\u{1b}') && !told.contains("\n::error"), "{told:?}");
        assert!(told.starts_with("internal error: at ") && told.contains(" (src/a.rs:1)\n"), "{told:?}");
        assert_eq!((said(&"a text"), said(&7)), ("a text", "no reason is known"));
    }
}
