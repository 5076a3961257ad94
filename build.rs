//! Turns the checks that are shipped from YAML into JSON: a static check reads them all at every start, and JSON reads ten
//! times as fast. A test holds that both say the same.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

/// Folders below `checks/` that hold other data.
const OTHER_DATA: [&str; 2] = ["profiles", "frameworks"];

#[expect(clippy::disallowed_methods, reason = "cargo says in a variable where the build writes")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=checks");
    let mut rows = String::from("[\n");
    for area in listed(Path::new("checks"))?.iter().filter(|path| path.is_dir()) {
        let area_name = name(area);
        if OTHER_DATA.contains(&area_name.as_str()) {
            continue;
        }
        for path in listed(area)?.iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
            let text = fs::read_to_string(path)?;
            let said: Result<Map<String, Value>, _> = serde_yaml::from_str(&text);
            let mut check = said.map_err(|error| format!("{}: {error}", path.display()))?;
            let examples = check.shift_remove("examples").unwrap_or_default().to_string();
            let asked = Value::Object(check).to_string();
            let (asked, examples) = (asked.escape_default(), examples.escape_default());
            writeln!(rows, "    (\"{area_name}/{}\", \"{asked}\", \"{examples}\"),", name(path))?;
        }
    }
    rows.push(']');
    Ok(fs::write(PathBuf::from(env::var("OUT_DIR")?).join("checks.rs"), rows)?)
}

/// What a folder holds, sorted.
fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// A file's name without its ending.
fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
