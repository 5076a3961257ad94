//! A text that is filled in but for some fields of an item: of items that are alike in all else, one is filled in by the
//! template, and the fields of the others are put in its place. Must not look at a template.

/// A character that stands for none, around the name of a field.
const MARK: char = '\u{fdd0}';

/// A text with fields left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The text before the first field, then each field with the text behind it.
    start: String,
    fields: Vec<(String, String)>,
}

impl Draft {
    /// What a template is given in place of a field.
    pub fn mark(field: &str) -> String {
        format!("{MARK}{field}{MARK}")
    }

    /// Takes what a template made of such marks.
    pub fn of(text: &str) -> Self {
        let mut parts = text.split(MARK).map(str::to_owned);
        let start = parts.next().unwrap_or_default();
        let mut fields = Vec::new();
        while let Some(field) = parts.next() {
            fields.push((field, parts.next().unwrap_or_default()));
        }
        Self { start, fields }
    }

    /// The text with the fields of an item; nothing where it lacks one.
    pub fn filled<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
        let mut text = self.start.clone();
        for (field, behind) in &self.fields {
            text.push_str(value(field)?);
            text.push_str(behind);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Draft;

    #[test]
    fn fields_are_put_where_their_marks_stand() {
        let marked = format!("{} of {}: {}!", Draft::mark("name"), Draft::mark("system"), Draft::mark("name"));
        let draft = Draft::of(&marked);
        let value =
            |field: &str| ["name", "system"].contains(&field).then_some(if field == "name" { "pay" } else { "" });
        assert_eq!(draft.filled(value).as_deref(), Some("pay of : pay!"));
        assert_eq!(draft.filled(|field| (field == "name").then_some("pay")), None);
        assert_eq!(Draft::of("as it is").filled(|_| None).as_deref(), Some("as it is"));
    }
}
