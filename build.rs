//! Turns the checks that are shipped from YAML into JSON: a static check reads them all at every start, and JSON reads ten
//! times as fast. A test holds that both say the same. What is read more seldom is packed as deflated JSON, a sixth of its
//! size: examples of checks, and the files of the demo, the selftest and the attacks.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::DeflateEncoder};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Folders below `checks/` that hold other data.
const OTHER_DATA: [&str; 2] = ["profiles", "frameworks"];
/// Packs by name, each with its folders.
const PACKS: [(&str, &[&str]); 3] = [
    ("demo", &["fixtures/demo", "scenarios"]),
    ("selftest", &["fixtures/selftest"]),
    ("attacks", &["scenarios/attacks"]),
];

#[expect(clippy::disallowed_methods, reason = "cargo says in a variable where the build writes")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=checks");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (name, folders) in PACKS {
        let mut texts = BTreeMap::new();
        for folder in folders {
            println!("cargo::rerun-if-changed={folder}");
            gather(Path::new(folder), &mut texts)?;
        }
        fs::write(out.join(format!("{name}.pack")), packed(&texts)?)?;
    }
    let mut rows = String::from("[\n");
    let mut all_examples = BTreeMap::new();
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
            let digest = Sha256::digest(format!("{asked}\n{examples}"));
            let id = format!("{area_name}/{}", name(path));
            writeln!(rows, "    (\"{id}\", \"{}\", \"sha256:{}\"),", asked.escape_default(), hex(&digest)?)?;
            all_examples.insert(id, examples);
        }
    }
    rows.push(']');
    fs::write(out.join("examples.pack"), packed(&all_examples)?)?;
    Ok(fs::write(out.join("checks.rs"), rows)?)
}

/// Texts by name as deflated JSON.
fn packed(texts: &BTreeMap<String, String>) -> io::Result<Vec<u8>> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&serde_json::to_vec(texts)?)?;
    packed.finish()
}

fn hex(bytes: &[u8]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// The texts below a folder, by their paths with slashes.
fn gather(folder: &Path, texts: &mut BTreeMap<String, String>) -> io::Result<()> {
    for path in listed(folder)? {
        if path.is_dir() {
            gather(&path, texts)?;
        } else {
            texts.insert(path.to_string_lossy().replace('\\', "/"), fs::read_to_string(&path)?);
        }
    }
    Ok(())
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
