use std::{
    error::Error as _,
    io::{self, Write},
};

use super::super::tests::sample;
use super::{FormatTarget, Style, TargetError, Targets};

fn parsed(text: &str) -> Result<FormatTarget, String> {
    text.parse().map_err(|error: TargetError| error.to_string())
}

fn told(errors: &[TargetError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_target_is_a_name_and_perhaps_a_path() {
    let target = parsed("junit=out/a=b.xml").unwrap();
    assert_eq!((target.format.name, target.path.unwrap().to_str()), ("junit", Some("out/a=b.xml")));
    assert!(parsed("json").unwrap().path.is_none());
    assert!(parsed("json=-").unwrap().path.is_none());
    let errors: Vec<String> =
        ["jsom", "xyzzy-plugh", "json=", "", "a\u{1b}[2J"].iter().map(|text| parsed(text).unwrap_err()).collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn one_format_at_most_owns_standard_output() {
    let targets = [parsed("json").unwrap(), parsed("terminal").unwrap(), parsed("markdown=-").unwrap()];
    let errors = Targets::open(&targets).unwrap_err();
    insta::assert_snapshot!(told(&errors).join("\n"));
}

#[test]
fn two_reports_in_one_file_are_refused() {
    let targets = [parsed("json=a/b").unwrap(), parsed("junit=a/./b").unwrap()];
    assert_eq!(told(&Targets::open(&targets).unwrap_err()), ["two reports go to `a/./b`"]);
}

#[test]
fn every_target_that_cannot_be_opened_is_named_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let targets = [parsed(&format!("json={path}")).unwrap(), parsed(&format!("junit={path}/.")).unwrap()];
    let errors = Targets::open(&targets[..1]).unwrap_err();
    assert!(errors[0].source().is_some());
    assert!(told(&errors)[0].starts_with("failed to open `"), "{:?}", told(&errors));
}

#[test]
fn reports_land_in_their_files_and_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/report.json");
    let targets = [parsed(&format!("json={}", path.display())).unwrap(), parsed("markdown").unwrap()];
    let targets = Targets::open(&targets).unwrap();
    assert_eq!(targets.on_stdout().unwrap().name, "markdown");
    let mut stdout = Vec::new();
    targets.write_all(&sample::go(), &Style::FILE, &mut stdout).unwrap();
    assert!(String::from_utf8(stdout).unwrap().starts_with("## GO\n"));
    assert!(std::fs::read_to_string(path).unwrap().starts_with('{'));
}

struct Full(io::ErrorKind);

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_target_keeps_no_other_from_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let asked = [parsed("terminal").unwrap(), parsed(&format!("json={}", path.display())).unwrap()];
    let open = || Targets::open(&asked).unwrap();
    let errors = open().write_all(&sample::go(), &Style::FILE, &mut Full(io::ErrorKind::StorageFull)).unwrap_err();
    assert_eq!(told(&errors), ["failed to write the terminal report to standard output"]);
    assert!(std::fs::read_to_string(path).unwrap().ends_with("}\n"));
    assert!(open().write_all(&sample::go(), &Style::FILE, &mut Full(io::ErrorKind::BrokenPipe)).is_ok());
}
