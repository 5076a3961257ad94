//! The grants of a database role, read from the SQL that makes them.
//!
//! `facts.roles` has an entry per database: `name` (the system), `at`, `database`, and per credential with a role in
//! `roles`: `credential`, `role`, whether the file is `opened` and grants anything to the role by its name (`named`), `powers` (superuser and the
//! like), what it `owns`, whether it may grant (`grants_on`), the roles it is a member of (`member`), the grants that go
//! beyond what the tools do (`verbs`) or beyond the system's resources (`objects`), and `row_security`; `problems` says
//! in words what of this makes a role more than narrow.
//! Reads the statements that people write for `PostgreSQL` and `MySQL`; it runs nothing.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;
use serde_json::{Value, json};

use crate::facts::{Claims, Shelf};

static GRANT: LazyLock<Regex> = LazyLock::new(|| {
    let text = r"(?i)^grant\s+(.+?)\s+on\s+(?:(all\s+(?:tables|views|sequences|functions)\s+in\s+schema|schema|table|view|database|sequence|function)\s+)?(.+?)\s+to\s+(.+?)(\s+with\s+grant\s+option)?$";
    Regex::new(text).expect("the pattern is valid")
});
static COLUMNS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\([^)]*\)").expect("the pattern is valid"));
static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^grant\s+(\S+(?:\s*,\s*\S+)*)\s+to\s+(.+?)(?:\s+with\s+.*)?$").expect("the pattern is valid")
});
static ROLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:create|alter)\s+(?:role|user)\s+(?:if\s+not\s+exists\s+)?(\S+)(.*)$")
        .expect("the pattern is valid")
});
static FUTURE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^alter\s+default\s+privileges\s.*?\bgrant\s+(.+?)\s+on\s+(\w+)\s+to\s+(.+?)(?:\s+with\s+.*)?$")
        .expect("the pattern is valid")
});
static OWNER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:alter|create)\s+(\w+)\s+(?:if\s+\w+(?:\s+\w+)?\s+)?(\S+)\s+(?:.*\s)?(?:owner\s+to|authorization)\s+(\S+)").expect("the pattern is valid")
});

/// Attributes that lift a role above its grants.
const POWERS: [&str; 5] = ["superuser", "createdb", "createrole", "bypassrls", "replication"];

/// Roles that are superusers by what they are called.
const SUPERUSERS: [&str; 6] = ["postgres", "root", "sa", "sys", "system", "admin"];

/// Privileges that change nothing.
const READING: [&str; 6] = ["select", "usage", "connect", "references", "show view", "temporary"];

/// `facts.roles`.
pub(super) fn facts(shelf: &Shelf<'_>, claims: &Claims<'_>) -> Value {
    let databases = claims.systems.iter().filter(|system| system.get("database").is_some());
    databases.map(|system| database(shelf, claims, system)).collect()
}

fn database(shelf: &Shelf<'_>, claims: &Claims<'_>, system: &Value) -> Value {
    let name = system.get("name").and_then(Value::as_str).unwrap_or_default();
    let path = system.get("roles").and_then(Value::as_str);
    let text = path.and_then(|path| shelf.text(path)).map(|file| file.text().to_owned());
    let statements = text.as_deref().map(statements);
    let writes = verbs(claims, name);
    let resources = resources(system);
    let credentials = system.get("credentials").and_then(Value::as_array).into_iter().flatten();
    let roles = credentials.filter_map(|credential| {
        let text = |key: &str| credential.get(key).and_then(Value::as_str);
        let role = text("role")?;
        let may = if text("name") == Some("write") { writes.clone() } else { BTreeSet::new() };
        let mut entry = json!({"credential": text("name"), "role": role, "opened": statements.is_some()});
        let seen = Seen::of(role, statements.as_deref().unwrap_or_default());
        if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), seen.facts(role, &may, &resources)) {
            entry.extend(more);
        }
        Some(entry)
    });
    let roles: Vec<Value> = roles.collect();
    let several_tenants = claims.manifest.pointer("/data/tenancy/key").is_some();
    let without = system.get("credentials").and_then(Value::as_array).into_iter().flatten();
    let without =
        without.filter(|credential| credential.get("role").is_none()).filter_map(|one| one.get("name")?.as_str());
    json!({
        "name": name,
        "at": system.get("at"),
        "database": system.get("database"),
        "path": path,
        "problems": problems(&roles, &without.collect::<Vec<_>>(), several_tenants),
        "roles": roles,
    })
}

/// What makes a role more than narrow, in words.
fn problems(roles: &[Value], without: &[&str], several_tenants: bool) -> Vec<String> {
    let mut found: Vec<String> = without.iter().map(|name| format!("the {name} credential names no role")).collect();
    for entry in roles {
        let role = entry.get("role").and_then(Value::as_str).unwrap_or_default();
        let is = |key: &str| entry.get(key) == Some(&Value::Bool(true));
        let list = |key: &str| {
            let items = entry.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            items.collect::<Vec<_>>().join(", ")
        };
        if !is("opened") {
            found.push("the file can't be opened".to_owned());
            continue;
        }
        if !is("named") {
            found.push(format!("the file grants nothing to `{role}`"));
        }
        for (key, what) in [
            ("powers", "is more than a role should be"),
            ("owns", "owns"),
            ("member", "is a member of"),
            ("verbs", "may do more than the tools do"),
            ("objects", "reaches beyond the resources"),
        ] {
            let items = list(key);
            if !items.is_empty() {
                found.push(format!("`{role}` {what}: {items}"));
            }
        }
        if is("grants_on") {
            found.push(format!("`{role}` may grant to others"));
        }
        if several_tenants && !is("row_security") {
            found.push("row security is not on, although there are several tenants".to_owned());
        }
    }
    found
}

/// The privileges that the writing tools of a system may need.
fn verbs(claims: &Claims<'_>, system: &str) -> BTreeSet<&'static str> {
    let own = claims.tools.iter().filter(|tool| tool.get("system").and_then(Value::as_str) == Some(system));
    let effects = own.filter_map(|tool| tool.get("effect")?.as_str());
    effects
        .flat_map(|effect| match effect {
            "write" => &["insert", "update", "execute"][..],
            "destructive" => &["insert", "update", "execute", "delete"][..],
            _ => &[][..],
        })
        .copied()
        .collect()
}

/// The names behind `kind:name` of the system's resources, in lower case.
fn resources(system: &Value) -> Vec<String> {
    let list = system.get("resources").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    list.map(|one| one.split_once(':').map_or(one, |(_, name)| name).to_lowercase()).collect()
}

/// The statements of a text, comments left out, white space made single.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let whole = lines.collect::<Vec<_>>().join(" ");
    let parts = whole.split(';').map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    parts.filter(|part| !part.is_empty()).collect()
}

/// A name without quotes and without the host of a `MySQL` account.
fn bare(name: &str) -> String {
    let name = name.split('@').next().unwrap_or(name);
    name.chars().filter(|c| !matches!(c, '"' | '\'' | '`' | ',')).collect::<String>().to_lowercase()
}

/// What the statements say of one role.
#[derive(Default)]
struct Seen {
    named: bool,
    powers: BTreeSet<String>,
    owns: BTreeSet<String>,
    grants_on: bool,
    member: BTreeSet<String>,
    /// Privilege and object.
    grants: BTreeSet<(String, String)>,
    /// The statements that turn it on, up to the table's name.
    row_security: BTreeSet<String>,
}

impl Seen {
    fn of(role: &str, statements: &[String]) -> Self {
        let role = bare(role);
        let mut seen = Self::default();
        let is_named = |list: &str| list.split(',').any(|one| bare(one.trim()) == role);
        // What everybody may, the role may too.
        let is_own =
            |list: &str| list.split(',').any(|one| [role.as_str(), "public"].contains(&bare(one.trim()).as_str()));
        for statement in statements {
            let part =
                |found: &regex::Captures<'_>, at: usize| found.get(at).map_or("", |part| part.as_str()).to_lowercase();
            if let Some(found) = GRANT.captures(statement).filter(|found| is_own(&part(found, 4))) {
                seen.named |= is_named(&part(&found, 4));
                seen.grants_on |= found.get(5).is_some();
                for object in part(&found, 3).split(',').map(|one| bare(one.trim())) {
                    let verbs = part(&found, 1);
                    let verbs = COLUMNS.replace_all(&verbs, "");
                    let verbs = verbs.split(',').map(|verb| verb.trim().to_owned());
                    seen.grants.extend(verbs.map(|verb| (verb, object.clone())));
                }
            } else if let Some(found) = FUTURE.captures(statement).filter(|found| is_own(&part(found, 3))) {
                let object = format!("future {}", part(&found, 2));
                seen.grants.extend(part(&found, 1).split(',').map(|verb| (verb.trim().to_owned(), object.clone())));
            } else if let Some(found) = MEMBER.captures(statement).filter(|found| is_named(&part(found, 2))) {
                seen.named = true;
                seen.member.extend(part(&found, 1).split(',').map(|one| bare(one.trim())));
            } else if let Some(found) = ROLE.captures(statement).filter(|found| bare(&part(found, 1)) == role) {
                let attributes = part(&found, 2);
                let words: Vec<&str> = attributes.split_whitespace().collect();
                seen.powers.extend(words.iter().filter(|word| POWERS.contains(word)).map(|word| (*word).to_owned()));
                if let Some(at) = words.windows(2).position(|two| matches!(two, ["in", "role" | "group"])) {
                    let lists = words.iter().skip(at + 2);
                    // The list ends with the first name that no comma follows.
                    let last = lists.clone().position(|word| !word.ends_with(','));
                    seen.member.extend(lists.take(last.map_or(usize::MAX, |last| last + 1)).map(|word| bare(word)));
                }
            } else if let Some(found) = OWNER.captures(statement).filter(|found| bare(&part(found, 3)) == role) {
                seen.owns.insert(bare(&part(&found, 2)));
            }
            let lower = statement.to_lowercase();
            if let Some((table, _)) = lower.split_once(" enable row level security") {
                seen.row_security.insert(table.to_owned());
            } else if let Some((table, _)) = lower.split_once(" disable row level security") {
                seen.row_security.remove(table);
            }
        }
        seen
    }

    fn facts(&self, role: &str, may: &BTreeSet<&str>, resources: &[String]) -> Value {
        let mut powers = self.powers.clone();
        if SUPERUSERS.contains(&bare(role).as_str()) {
            powers.insert("superuser".to_owned());
        }
        let allowed = |verb: &str| READING.contains(&verb) || may.contains(verb);
        let inside = |object: &str| {
            resources.iter().any(|resource| {
                object == resource || object.strip_prefix(resource.as_str()).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let verbs = self.grants.iter().filter(|(verb, _)| !allowed(verb));
        let objects =
            self.grants.iter().filter(|(verb, object)| verb != "connect" && verb != "temporary" && !inside(object));
        let said = |(verb, object): &(String, String)| format!("{} on {object}", verb.to_uppercase());
        json!({
            "named": self.named,
            "powers": powers,
            "owns": self.owns,
            "grants_on": self.grants_on,
            "member": self.member,
            "verbs": verbs.map(said).collect::<Vec<_>>(),
            "objects": objects.map(said).collect::<Vec<_>>(),
            "row_security": !self.row_security.is_empty(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BTreeSet, Seen, statements};

    fn facts(text: &str, role: &str, may: &[&'static str]) -> serde_json::Value {
        let may: BTreeSet<&str> = may.iter().copied().collect();
        Seen::of(role, &statements(text)).facts(role, &may, &["orders_view".to_owned(), "app.orders".to_owned()])
    }

    #[test]
    fn grants_are_held_against_tools_and_resources() {
        let narrow = "-- read only\nCREATE ROLE agent_ro LOGIN NOSUPERUSER NOBYPASSRLS;\nGRANT USAGE ON SCHEMA orders_view TO agent_ro;\n\
                      GRANT SELECT (id, total), SELECT\n ON orders_view.orders, app.orders TO agent_ro;\nALTER TABLE app.orders ENABLE ROW LEVEL SECURITY;";
        let seen = facts(narrow, "agent_ro", &[]);
        let nothing = json!([]);
        for key in ["powers", "owns", "member", "verbs", "objects"] {
            assert_eq!(seen[key], nothing, "{key} of {seen}");
        }
        assert_eq!(
            (&seen["named"], &seen["grants_on"], &seen["row_security"]),
            (&json!(true), &json!(false), &json!(true))
        );
        for (text, role, key, expected) in [
            ("CREATE ROLE a SUPERUSER LOGIN", "a", "powers", json!(["superuser"])),
            ("ALTER USER a WITH BYPASSRLS", "a", "powers", json!(["bypassrls"])),
            ("", "postgres", "powers", json!(["superuser"])),
            ("ALTER TABLE app.orders OWNER TO a", "a", "owns", json!(["app.orders"])),
            ("CREATE SCHEMA s AUTHORIZATION a", "a", "owns", json!(["s"])),
            ("GRANT SELECT ON app.orders TO a WITH GRANT OPTION", "a", "grants_on", json!(true)),
            ("GRANT pg_write_all_data TO a", "a", "member", json!(["pg_write_all_data"])),
            ("GRANT SELECT, UPDATE ON app.orders TO b, a", "a", "verbs", json!(["UPDATE on app.orders"])),
            ("GRANT SELECT ON ALL TABLES IN SCHEMA public TO a", "a", "objects", json!(["SELECT on public"])),
            ("GRANT SELECT ON `app`.`cards` TO 'a'@'%'", "a", "objects", json!(["SELECT on app.cards"])),
            ("GRANT ALL PRIVILEGES ON app.orders TO a", "a", "verbs", json!(["ALL PRIVILEGES on app.orders"])),
            ("GRANT SELECT ON app.orders TO b", "a", "named", json!(false)),
            ("CREATE ROLE a LOGIN", "a", "named", json!(false)),
            ("CREATE ROLE a LOGIN IN ROLE rds_superuser, b PASSWORD 'x'", "a", "member", json!(["b", "rds_superuser"])),
            ("GRANT UPDATE ON app.orders TO PUBLIC", "a", "verbs", json!(["UPDATE on app.orders"])),
            ("GRANT SELECT ON app.orders TO PUBLIC", "a", "named", json!(false)),
            (
                "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT ALL ON TABLES TO a",
                "a",
                "objects",
                json!(["ALL on future tables"]),
            ),
            (
                "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t DISABLE ROW LEVEL SECURITY",
                "a",
                "row_security",
                json!(false),
            ),
        ] {
            assert_eq!(facts(text, role, &[])[key], expected, "{text}");
        }
        assert_eq!(facts("GRANT UPDATE ON app.orders TO a", "a", &["update"])["verbs"], nothing);
    }
}
