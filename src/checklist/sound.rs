//! The sound agent over which examples of check files are laid: the complete manifest with its files, loaded and
//! collected by the modules that do so for everyone. For tests only; must not judge.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{Autonomy, Example, ManifestView, Profile, WaiverClaim, resolve, select};
use crate::{
    facts,
    manifest::{self, Manifest},
    source::{Diagnostics, Files, Location, Route, SourceFile, Spot, load_text},
};

/// The name of every fixture's manifest.
const NAME: &str = "agentready.yaml";

/// A manifest with what was seen of it, ready to be assessed.
pub(super) struct Case {
    /// The evidence document.
    pub(super) evidence: Value,
    manifest: Manifest,
}

impl Case {
    /// What the checklist needs to know of the manifest, its own profiles and `waivers` counted.
    pub(super) fn view(&self, waivers: Vec<WaiverClaim>) -> ManifestView<'_> {
        ManifestView {
            autonomy: autonomy(&self.manifest),
            profiles: profiles(&self.manifest),
            waivers,
            non_negotiables: self.manifest.raw.gate.non_negotiables.clone(),
            locate: &|route: &Route| Spot {
                location: Location { file: route.as_str().to_owned(), line: 1, column: 1 },
                missing: false,
                excerpt: None,
            },
        }
    }

    /// The waivers that the manifest states.
    pub(super) fn waivers(&self) -> Vec<WaiverClaim> {
        let stated = self.manifest.raw.gate.waivers.iter().map(|waiver| WaiverClaim {
            check: waiver.check.clone(),
            reason: waiver.reason.clone(),
            approved_by: waiver.approved_by.clone(),
            expires: waiver.expires.to_string(),
        });
        stated.collect()
    }
}

fn autonomy(manifest: &Manifest) -> Autonomy {
    manifest.raw.agent.autonomy
}

fn profiles(manifest: &Manifest) -> Vec<Profile> {
    select(&manifest.raw.gate.profiles).expect("a fixture names profiles that exist")
}

struct Sound {
    files: Files,
    manifest: Manifest,
    claims: Value,
    seen: Value,
    fetched: facts::Fetched,
    /// Facts by the piece of manifest that was laid over.
    facts: Mutex<BTreeMap<String, Arc<Value>>>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let files = folder("complete");
    let manifest = manifest::load(&files, NAME).expect("the complete manifest loads");
    let claims = manifest.document.value();
    let data = |name: &str, text: &str| load_text::<Value>(SourceFile::new(name, text)).expect("is YAML").value;
    let seen = data("sound.yaml", include_str!("sound.yaml"));
    let fetched = data("fetched.yaml", include_str!("fetched.yaml"));
    let fetched = serde_json::from_value(fetched).expect("fetched.yaml has the form of `Fetched`");
    Sound { files, manifest, claims, seen, fetched, facts: Mutex::default() }
});

fn folder(name: &str) -> Files {
    Files::disk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name), false)
}

/// The sound agent with an example laid over.
pub(super) fn with(example: &Example) -> Result<Case, Diagnostics> {
    let sound = &*SOUND;
    let manifest = if example.manifest.is_null() {
        sound.manifest.clone()
    } else {
        let mut claims = sound.claims.clone();
        merge(&mut claims, &example.manifest);
        manifest::read(&sound.manifest.document, &claims)?
    };
    let mut evidence = manifest::evidence(&manifest);
    let facts = sound.collected(&example.manifest, &evidence);
    settle(&mut evidence, &facts);
    merge(&mut evidence, &json!({"facts": *facts, "drills": {}, "traced": {}, "thresholds": thresholds(&manifest)}));
    merge(&mut evidence, &sound.seen);
    if !example.evidence.is_null() {
        merge(&mut evidence, &example.evidence);
    }
    Ok(Case { evidence, manifest })
}

/// The sound agent as it stands in another folder, collected anew.
pub(super) fn of_folder(folder: &Path) -> Result<Case, Diagnostics> {
    let files = Files::disk(folder, false);
    let manifest = manifest::load(&files, NAME)?;
    let mut evidence = manifest::evidence(&manifest);
    let options = facts::Options {
        live: true,
        manifest: NAME.to_owned(),
        fetched: SOUND.fetched.clone(),
        ..facts::Options::default()
    };
    let facts = facts::collect(&files, &evidence, &options);
    settle(&mut evidence, &facts);
    merge(&mut evidence, &json!({"facts": facts, "drills": {}, "traced": {}, "thresholds": thresholds(&manifest)}));
    merge(&mut evidence, &SOUND.seen);
    Ok(Case { evidence, manifest })
}

fn settle(evidence: &mut Value, facts: &Value) {
    facts::settle(evidence["tools"].as_array_mut().expect("the evidence lists the tools"), &facts["effects"]);
}

impl Sound {
    fn collected(&self, piece: &Value, evidence: &Value) -> Arc<Value> {
        let known = || self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = piece.to_string();
        if let Some(facts) = known().get(&key) {
            return Arc::clone(facts);
        }
        let options = facts::Options {
            live: true,
            manifest: NAME.to_owned(),
            fetched: self.fetched.clone(),
            ..facts::Options::default()
        };
        let facts = Arc::new(facts::collect(&self.files, evidence, &options));
        known().insert(key, Arc::clone(&facts));
        facts
    }
}

/// A fixture as a static check without a network sees it: nothing was fetched, no trial was run.
pub(super) fn fixture(name: &str, manifest: &str) -> Case {
    let files = folder(name);
    let manifest = manifest::load(&files, manifest).expect("the fixture loads");
    let mut evidence = manifest::evidence(&manifest);
    let options = facts::Options { offline: true, manifest: manifest.name.clone(), ..facts::Options::default() };
    let facts = facts::collect(&files, &evidence, &options);
    settle(&mut evidence, &facts);
    let suites = json!({"golden": {"scenarios": 0, "distinct": 0, "handoff_scenarios": 0},
        "adversarial": {"scenarios": 0, "clusters": 0, "largest_family_share": 0.0}, "incident": {"scenarios": 0}, "ways_out": {}});
    let rest = json!({"facts": facts, "drills": {}, "thresholds": thresholds(&manifest), "live": false,
        "now": SOUND.seen["now"], "loosened": [], "suites": suites, "metrics": {},
        "traced": {}});
    merge(&mut evidence, &rest);
    Case { evidence, manifest }
}

fn thresholds(manifest: &Manifest) -> Value {
    let gate = &manifest.raw.gate;
    let claims = gate.thresholds.iter();
    let claims = claims.map(|(name, value)| (name.clone(), serde_json::to_value(value).expect("a number or a text")));
    resolve(&claims.collect(), &gate.profiles).expect("the thresholds of a fixture resolve").to_json()
}

/// RFC 7396, so that an example can take a key away with null.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let map = target.as_object_mut().expect("made an object above");
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
