//! Outside companies that get data: those of the manifest, and those that the manifest uses without saying so.
//!
//! `facts.data.processors`: `listed`, `used_for` (places in the manifest that lead to it), `sends`, `why`, `region`,
//! `trains`, `contract`, `contract_exists`, `contract_readable`, `contract_on_training` (its text speaks of training),
//! `in_doc` (the page of `data.doc` names it), `region_in_doc`, `within` (its region is in `data.residency`),
//! `forbidden` (classes in `sends` that no model may see) and `clear` (classes that must be tokens, and are not said to be).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Sight, kinds, names, place, string, strings};

/// Hosts of companies that get what is sent to them.
const HOSTS: [(&str, &str); 22] = [
    ("anthropic.com", "anthropic"),
    ("arize.com", "arize"),
    ("braintrust.dev", "braintrust"),
    ("cohere.com", "cohere"),
    ("datadoghq.com", "datadog"),
    ("datadoghq.eu", "datadog"),
    ("elastic-cloud.com", "elastic"),
    ("grafana.net", "grafana"),
    ("honeycomb.io", "honeycomb"),
    ("langchain.com", "langsmith"),
    ("langfuse.com", "langfuse"),
    ("mailgun.net", "mailgun"),
    ("newrelic.com", "newrelic"),
    ("openai.azure.com", "azure"),
    ("openai.com", "openai"),
    ("pinecone.io", "pinecone"),
    ("sendgrid.com", "sendgrid"),
    ("sentry.io", "sentry"),
    ("slack.com", "slack"),
    ("splunkcloud.com", "splunk"),
    ("twilio.com", "twilio"),
    ("weaviate.cloud", "weaviate"),
];

/// Words in the id of a model that only its maker serves, by how they begin.
const MODELS: [(&str, &str); 19] = [
    ("anthropic", "anthropic"),
    ("chatgpt", "openai"),
    ("claude", "anthropic"),
    ("codestral", "mistral"),
    ("cohere", "cohere"),
    ("command", "cohere"),
    ("deepseek", "deepseek"),
    ("gemini", "google"),
    ("gpt", "openai"),
    ("grok", "xai"),
    ("kimi", "moonshot"),
    ("ministral", "mistral"),
    ("mistral", "mistral"),
    ("nova", "amazon"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("openai", "openai"),
    ("titan", "amazon"),
];

pub(super) fn facts(sight: &Sight<'_>) -> Value {
    let used = used(sight);
    let page = sight.text("/data/doc").and_then(|path| sight.file(path)?.get("text")?.as_str()).unwrap_or_default();
    let residency = strings(sight.claim("/data/residency"));
    let listed = sight.map("/data/processors").map(|(name, entry)| {
        let places = used.iter().filter(|(provider, _)| is_same(name, provider)).flat_map(|(_, places)| places);
        described(sight, (name, entry), &places.cloned().collect::<Vec<_>>(), (page, &residency))
    });
    let is_listed = |provider: &str| sight.map("/data/processors").any(|(name, _)| is_same(name, provider));
    let unlisted = used.iter().filter(|(provider, _)| !is_listed(provider)).map(|(provider, places)| {
        let at = places.first().map(|place| format!("/{}", place.replace('.', "/")));
        json!({"name": provider, "at": at, "listed": false, "used_for": places})
    });
    listed.chain(unlisted).collect()
}

/// `aws-bedrock` is the `bedrock` of a model's id.
fn is_same(name: &str, provider: &str) -> bool {
    let (name, provider) = (name.to_lowercase(), provider.to_lowercase());
    name == provider || name.split(['-', '_', ' ']).any(|word| word == provider)
}

/// Companies that the manifest leads to, with the fields that do.
fn used(sight: &Sight<'_>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, model) in sight.map("/models") {
        let id = model.get("id").or(Some(model)).and_then(Value::as_str).unwrap_or_default();
        if let Some(provider) = provider(sight, id) {
            found.entry(provider).or_default().push(format!("models.{name}"));
        }
    }
    if let Some(provider) = sight.text("/evals/judge/model").and_then(|id| provider(sight, id)) {
        found.entry(provider).or_default().push("evals.judge.model".to_owned());
    }
    let own: &[&str] = &["agent", "endpoint", "gate", "data"];
    for (section, value) in sight.manifest.as_object().into_iter().flatten() {
        if !own.contains(&section.as_str()) {
            hosts(value, section, &mut found);
        }
    }
    found
}

/// Who gets what a model is sent; of an id that tells no maker the listed company whose name is in it, or else the id.
fn provider(sight: &Sight<'_>, id: &str) -> Option<String> {
    if let Some((provider, _)) = id.split_once('/') {
        return Some(provider.to_lowercase());
    }
    let id = id.to_lowercase();
    let words = || id.split(|c: char| !c.is_ascii_alphanumeric());
    let maker = words().find_map(|word| MODELS.iter().find(|(head, _)| word.starts_with(head)));
    let listed = || words().find(|word| sight.map("/data/processors").any(|(name, _)| is_same(name, word)));
    let named = maker.map(|(_, maker)| *maker).or_else(listed).unwrap_or(&id);
    (!named.is_empty()).then(|| named.to_owned())
}

fn hosts(value: &Value, at: &str, found: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::String(text) => {
            let Some((_, rest)) = text.split_once("://") else { return };
            let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
            let known = |suffix: &str| host == suffix || host.ends_with(&format!(".{suffix}"));
            if let Some((_, vendor)) = HOSTS.iter().find(|(suffix, _)| known(suffix)) {
                found.entry((*vendor).to_owned()).or_default().push(at.to_owned());
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| hosts(item, &format!("{at}.{index}"), found));
        }
        Value::Object(map) => map.iter().for_each(|(key, item)| hosts(item, &format!("{at}.{key}"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn described(
    sight: &Sight<'_>,
    (name, entry): (&str, &Value),
    uses: &[String],
    (page, residency): (&str, &[String]),
) -> Value {
    let contract = string(entry, "contract");
    let file = contract.as_deref().and_then(|path| sight.file(path));
    // The settings of an account are exported as JSON, which is text here too.
    let text = contract.as_deref().and_then(|path| Some(sight.shelf.text(path)?.text().to_lowercase()));
    let text = text.filter(|text| !text.trim().is_empty());
    let region = string(entry, "region").unwrap_or_default();
    let mut known = json!({
        "name": name, "at": place("/data/processors", name), "listed": true, "used_for": uses,
        "contract_exists": file.is_some(),
        "contract_readable": text.is_some(),
        "contract_on_training": text.is_some_and(|text| rules_training_out(&text)),
        "in_doc": names(page, &name.to_lowercase()),
        "region_in_doc": says_region(page, &name.to_lowercase(), &region.to_lowercase()),
        "within": residency.iter().any(|allowed| allowed == "any" || is_within(&region, allowed)),
    });
    let (forbidden, clear) = strayed(sight, &strings(entry.get("sends")));
    if let (Value::Object(known), Value::Object(entry)) = (&mut known, entry) {
        known.extend(entry.clone());
        known.extend(Map::from_iter([("forbidden".to_owned(), json!(forbidden)), ("clear".to_owned(), json!(clear))]));
    }
    known
}

/// `eu-west-1` lies in `eu`.
fn is_within(region: &str, allowed: &str) -> bool {
    region.strip_prefix(allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether a sentence about training says no to it.
fn rules_training_out(text: &str) -> bool {
    const NO: [&str; 10] = ["not", "never", "no", "none", "without", "opt", "opted", "false", "disabled", "off"];
    let text = text.replace('\n', " ");
    let mut sentences = text.split(". ").filter(|sentence| sentence.contains("train"));
    sentences.any(|sentence| NO.iter().any(|word| names(&sentence.replace('_', " "), word)))
}

/// Whether a page names a region in a line about a company, or below a heading that names it.
fn says_region(page: &str, name: &str, region: &str) -> bool {
    // "Contact us" is no region.
    let introduced = |before: &str| {
        let before = before.trim_end_matches(['`', '*', '"', '\'']).trim_end();
        let word = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        word.is_empty() || ["in", "the", "region", "is"].contains(&word)
    };
    let says = |line: &str| {
        names(line, region)
            && (region.len() > 2
                || line.match_indices(region).any(|(at, _)| introduced(line.get(..at).unwrap_or_default())))
    };
    let mut is_below = false;
    page.lines().any(|line| {
        if line.starts_with('#') {
            is_below = names(line, name);
        }
        says(line) && (is_below || names(line, name))
    })
}

/// Classes that `sends` names against their own rule: forbidden, and in clear where tokens are due.
fn strayed(sight: &Sight<'_>, sends: &[String]) -> (Vec<String>, Vec<String>) {
    let mentions = |text: &str, class: &str, entry: &Value| {
        let text = kinds::plain(text);
        let words = strings(entry.get("match"));
        names(&text.replace('_', " "), &class.to_lowercase())
            || words
                .iter()
                .any(|word| names(&text, &kinds::plain(word)) || text.split('_').any(|part| part == kinds::plain(word)))
    };
    let held = |handling: &str, excused: fn(&str) -> bool| {
        sight
            .map("/data/classes")
            .filter(|(_, entry)| entry.get("model").is_some_and(|model| model == handling))
            .filter(|(class, entry)| sends.iter().any(|sent| !excused(sent) && mentions(sent, class, entry)))
            .map(|(class, _)| class.clone())
            .collect()
    };
    (held("never", |_| false), held("tokenized", |sent| sent.to_lowercase().contains("token")))
}
