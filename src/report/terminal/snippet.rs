//! A finding in the manner of rustc: what is wrong, the line with the place marked, how far it is shown, what to do.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};
use anstyle::{AnsiColor, Color, Style as Ansi};

use super::{
    super::{Style, foreign},
    sheet,
};
use crate::{source::Excerpt, verdict::Finding};

/// What stands before the text of a note, beside the room for the line's number.
const HANG: usize = 9;

/// One finding; `more` says which others are folded into it.
pub(super) fn finding(finding: &Finding, more: Option<&str>, style: Style) -> String {
    let digits = finding.excerpt.as_ref().map_or(0, |excerpt| excerpt.line.to_string().len());
    let room = style.width.saturating_sub(HANG + digits).max(20);
    let inert = |text: &str| sheet::wrapped(&foreign::line(text), room, "").join("\n");
    let (severity, check) = (foreign::line_of(&finding.severity, 20), foreign::line_of(&finding.check, 80));
    let head = severity.chars().count() + 2;
    let title = sheet::wrapped(&foreign::line(&finding.message), style.width.saturating_sub(head), "").join("\n");
    let level = level(&finding.severity).with_name(severity);
    let place = foreign::line_of(&finding.place, 80);
    let group = level.primary_title(title);
    let shown = finding.excerpt.as_ref().map(line);
    let file = foreign::line_of(&finding.location.file, 120);
    let mut notes = vec![format!(
        "{check} stands at {}, needs {}",
        foreign::line_of(&finding.rung, 20),
        foreign::line_of(&finding.needed, 20)
    )];
    if !finding.blocks {
        notes.push("does not block".to_owned());
    }
    let where_at: Element<'_> = if let (Some(excerpt), Some((text, span))) = (&finding.excerpt, &shown) {
        let label = finding.missing.then(|| format!("`{place}` is not written here"));
        let before_label = text.get(..span.end).unwrap_or_default().chars().count() + digits + 4;
        let has_room = |label: &String| before_label + label.chars().count() < style.width;
        notes.extend(label.clone().filter(|label| !has_room(label)));
        let label = label.filter(has_room);
        let mark = AnnotationKind::Primary.span(span.clone()).label(label);
        Snippet::source(text.as_str()).line_start(excerpt.line).path(file).annotation(mark).into()
    } else {
        if finding.missing {
            notes.push(format!("`{place}` is not in the manifest"));
        }
        Origin::path(file).into()
    };
    let mut group = group.element(where_at).element(Level::NOTE.message(inert(&notes.join("; "))));
    // In brief the way to GO names them.
    if style.verbose && !finding.also.is_empty() {
        let also = format!("open for the same cause: {}", finding.also.join(", "));
        group = group.element(Level::NOTE.message(inert(&also)));
    }
    if !finding.fix.is_empty() {
        group = group.element(Level::HELP.message(inert(&finding.fix)));
    }
    if let Some(more) = more {
        group = group.element(Level::NOTE.no_name().message(inert(more)));
    }
    renderer(style).render(&[group])
}

/// The line, made inert, and the bytes in it that are marked.
fn line(excerpt: &Excerpt) -> (String, Range<usize>) {
    let part = |from: usize, count: usize| {
        let text: String = excerpt.text.chars().skip(from).take(count).collect();
        foreign::unbroken(&text)
    };
    let before = part(0, excerpt.before);
    let marked = part(excerpt.before, excerpt.marked);
    let after = part(excerpt.before.saturating_add(excerpt.marked), usize::MAX);
    let whole = format!("{before}{marked}{after}");
    let inert = foreign::unbroken(&whole);
    // A command of a CI service may begin in one part and end in the next: then the whole line is marked.
    let span = if inert == whole { before.len()..before.len() + marked.len() } else { 0..inert.len() };
    (inert, span)
}

fn level(severity: &str) -> Level<'static> {
    match severity {
        "blocker" => Level::ERROR,
        "major" => Level::WARNING,
        _ => Level::INFO,
    }
}

fn renderer(style: Style) -> Renderer {
    if !style.color {
        return Renderer::plain().term_width(style.width);
    }
    let paint = |color: AnsiColor| Ansi::new().bold().fg_color(Some(Color::Ansi(color)));
    Renderer::styled()
        .term_width(style.width)
        .error(paint(AnsiColor::Red))
        .warning(paint(AnsiColor::Yellow))
        .info(paint(AnsiColor::Cyan))
        .note(Ansi::new().bold())
        .help(paint(AnsiColor::Green))
        .line_num(paint(AnsiColor::Blue))
        .context(paint(AnsiColor::Blue))
        .emphasis(Ansi::new().bold())
}
