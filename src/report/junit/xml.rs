//! The elements of `JUnit` XML, written one by one. Must not know what they tell; text is printable before it gets here.

use std::{
    borrow::Cow,
    io::{self, Write},
    time::Duration,
};

/// What a test case came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Error,
    Skipped,
}

impl Outcome {
    /// The element that says so; success has none.
    fn tag(self) -> Option<&'static str> {
        match self {
            Self::Success => None,
            Self::Failure => Some("failure"),
            Self::Error => Some("error"),
            Self::Skipped => Some("skipped"),
        }
    }
}

/// A test case.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) class: Cow<'static, str>,
    pub(super) outcome: Outcome,
    /// Of the outcome, unless it is success: its kind and message.
    pub(super) kind: String,
    pub(super) message: String,
    /// Text below the outcome.
    pub(super) text: String,
    pub(super) time: Option<Duration>,
    /// File and line.
    pub(super) place: Option<(String, usize)>,
    pub(super) out: Option<String>,
}

/// Test cases under one name.
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) time: Option<Duration>,
    pub(super) properties: Vec<(&'static str, String)>,
    pub(super) cases: Vec<Case>,
}

impl Suite {
    fn count(&self, outcome: Outcome) -> usize {
        self.cases.iter().filter(|case| case.outcome == outcome).count()
    }
}

/// Writes a whole report.
pub(super) fn write(out: &mut dyn Write, (name, time): (&str, Duration), suites: &[Suite]) -> io::Result<()> {
    let mut xml = Xml { out: io::BufWriter::with_capacity(64 * 1024, out) };
    xml.out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites")?;
    let count = |outcome| suites.iter().map(|suite| suite.count(outcome)).sum();
    xml.attribute("name", name)?;
    xml.number("tests", suites.iter().map(|suite| suite.cases.len()).sum())?;
    xml.number("skipped", count(Outcome::Skipped))?;
    xml.number("failures", count(Outcome::Failure))?;
    xml.number("errors", count(Outcome::Error))?;
    xml.time(Some(time))?;
    xml.out.write_all(b">\n")?;
    suites.iter().try_for_each(|suite| xml.suite(suite))?;
    xml.out.write_all(b"</testsuites>\n")?;
    xml.out.flush()
}

struct Xml<'o> {
    out: io::BufWriter<&'o mut dyn Write>,
}

impl Xml<'_> {
    fn suite(&mut self, suite: &Suite) -> io::Result<()> {
        self.out.write_all(b"    <testsuite")?;
        self.attribute("name", &suite.name)?;
        self.number("tests", suite.cases.len())?;
        self.number("skipped", suite.count(Outcome::Skipped))?;
        self.number("errors", suite.count(Outcome::Error))?;
        self.number("failures", suite.count(Outcome::Failure))?;
        self.time(suite.time)?;
        if suite.properties.is_empty() && suite.cases.is_empty() {
            return self.out.write_all(b"/>\n");
        }
        self.out.write_all(b">\n")?;
        if !suite.properties.is_empty() {
            self.out.write_all(b"        <properties>\n")?;
            for (name, value) in &suite.properties {
                self.out.write_all(b"            <property")?;
                self.attribute("name", name)?;
                self.attribute("value", value)?;
                self.out.write_all(b"/>\n")?;
            }
            self.out.write_all(b"        </properties>\n")?;
        }
        suite.cases.iter().try_for_each(|case| self.case(case))?;
        self.out.write_all(b"    </testsuite>\n")
    }

    fn case(&mut self, case: &Case) -> io::Result<()> {
        self.out.write_all(b"        <testcase")?;
        self.attribute("name", &case.name)?;
        self.attribute("classname", &case.class)?;
        self.time(case.time)?;
        if let Some((file, line)) = &case.place {
            self.attribute("file", file)?;
            self.number("line", *line)?;
        }
        let told = case.outcome.tag();
        if told.is_none() && case.out.is_none() {
            return self.out.write_all(b"/>\n");
        }
        self.out.write_all(b">\n")?;
        if let Some(tag) = told {
            write!(self.out, "            <{tag}")?;
            self.attribute("message", &case.message)?;
            self.attribute("type", &case.kind)?;
            if case.text.is_empty() {
                self.out.write_all(b"/>\n")?;
            } else {
                self.text(&case.text)?;
                writeln!(self.out, "</{tag}>")?;
            }
        }
        if let Some(out) = &case.out {
            self.out.write_all(b"            <system-out")?;
            self.text(out)?;
            self.out.write_all(b"</system-out>\n")?;
        }
        self.out.write_all(b"        </testcase>\n")
    }

    /// Ends a start tag and writes what stands in the element.
    fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(b">")?;
        self.escaped(text)
    }

    fn attribute(&mut self, name: &str, value: &str) -> io::Result<()> {
        write!(self.out, " {name}=\"")?;
        self.escaped(value)?;
        self.out.write_all(b"\"")
    }

    fn number(&mut self, name: &str, value: usize) -> io::Result<()> {
        write!(self.out, " {name}=\"{value}\"")
    }

    /// Seconds with three decimals.
    fn time(&mut self, time: Option<Duration>) -> io::Result<()> {
        match time {
            Some(time) => write!(self.out, " time=\"{:.3}\"", time.as_secs_f64()),
            None => Ok(()),
        }
    }

    /// Text with references for what XML gives a meaning; what XML forbids is left out, should any have come so far.
    fn escaped(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| reference(byte).is_some()) {
            let (head, tail) = rest.split_at(at);
            self.out.write_all(head.as_bytes())?;
            let byte = tail.bytes().next().unwrap_or_default();
            self.out.write_all(reference(byte).unwrap_or_default().as_bytes())?;
            rest = tail.get(1..).unwrap_or_default();
        }
        self.out.write_all(rest.as_bytes())
    }
}

fn reference(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'&' => "&amp;",
        b'\'' => "&apos;",
        b'"' => "&quot;",
        0..=8 | 11..=31 => "",
        _ => return None,
    })
}
