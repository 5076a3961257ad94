//! The model as JSON: lossless, and yet safe to print, since what is not printable is written as `\uXXXX`.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};

use super::{Format, Report, Style};
use crate::text::printable;

pub(super) const FORMAT: Format =
    Format { name: "json", about: "everything, for other programs (schema: `agentready schema report`)", render };

/// The JSON Schema of the `json` format.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Report)
}

fn render(report: &Report, out: &mut dyn Write, _style: &Style) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    report.serialize(&mut Serializer::with_formatter(&mut out, Inert::default()))?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Pretty JSON whose strings hold printable characters only.
#[derive(Default)]
struct Inert {
    pretty: PrettyFormatter<'static>,
}

impl Formatter for Inert {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let is_ascii = fragment.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !fragment.contains("##") && (is_ascii || printable(fragment) == fragment) {
            return out.write_all(fragment.as_bytes());
        }
        let mut before = ' ';
        for c in fragment.chars() {
            let mut buffer = [0; 4];
            let text = c.encode_utf8(&mut buffer);
            if (before == '#' && c == '#') || printable(text) != *text {
                write_escaped(out, c)?;
            } else {
                out.write_all(text.as_bytes())?;
            }
            before = c;
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, out: &mut W, escape: CharEscape) -> io::Result<()> {
        self.pretty.write_char_escape(out, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(out)
    }
}

fn write_escaped<W: ?Sized + Write>(out: &mut W, c: char) -> io::Result<()> {
    let mut units = [0; 2];
    for unit in c.encode_utf16(&mut units) {
        write!(out, "\\u{unit:04x}")?;
    }
    Ok(())
}
