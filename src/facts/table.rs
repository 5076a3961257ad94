//! Tables: comma-separated values, JSON lines, and the pipe tables of Markdown, all as rows of named cells.
//!
//! Column names are in lower case with `_` for spaces, so that `row.labelled_by` reads a column `Labelled by`.

use serde_json::{Map, Value, json};

/// Most rows of a table that are kept.
const MOST_ROWS: usize = 20_000;

/// Rows of comma- or tab-separated values, the first line naming the columns (RFC 4180).
pub(super) fn separated(text: &str, separator: char) -> Value {
    let mut lines = records(text.trim_start_matches('\u{feff}'), separator).into_iter();
    let columns: Vec<String> = lines.next().unwrap_or_default().iter().map(|name| column(name)).collect();
    let rows: Vec<Value> = lines.take(MOST_ROWS).map(|cells| row(&columns, cells)).collect();
    json!({"columns": columns, "rows": rows})
}

/// A value per line; blank lines are none.
pub(super) fn lines(text: &str) -> Value {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).take(MOST_ROWS) {
        match serde_json::from_str::<Value>(line) {
            Ok(said) => rows.push(said),
            Err(_) => return json!({"rows": rows, "columns": [], "error": format!("line {} is not JSON", number + 1)}),
        }
    }
    let columns: Vec<&String> = rows.first().and_then(Value::as_object).into_iter().flat_map(Map::keys).collect();
    json!({"columns": columns, "rows": rows})
}

/// Columns of the first pipe table of a page, and the rows of all of them.
pub(super) fn piped(text: &str) -> (Vec<String>, Vec<Value>) {
    let (mut first, mut rows) = (Vec::new(), Vec::new());
    let mut columns: Vec<String> = Vec::new();
    let mut above: Option<&str> = None;
    for line in text.lines() {
        let is_row = line.trim_start().starts_with('|');
        if !is_row {
            columns.clear();
        } else if let Some(head) = above.filter(|_| is_rule(line)) {
            columns = cells(head).iter().map(|name| column(name)).collect();
            if first.is_empty() {
                first.clone_from(&columns);
            }
        } else if !columns.is_empty() {
            rows.push(row(&columns, cells(line)));
        }
        above = is_row.then_some(line);
    }
    rows.truncate(MOST_ROWS);
    (first, rows)
}

fn is_rule(line: &str) -> bool {
    line.contains('-') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ' | '\t'))
}

fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn column(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

fn row(columns: &[String], cells: Vec<String>) -> Value {
    let named = columns.iter().cloned().zip(cells);
    Value::Object(named.map(|(name, cell)| (name, cell.into())).collect())
}

/// Lines of cells; a quoted cell may hold separators, doubled quotes and line breaks.
fn records(text: &str, separator: char) -> Vec<Vec<String>> {
    let (mut done, mut line, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            '"' if quoted || cell.trim().is_empty() => quoted = !quoted,
            c if c == separator && !quoted => line.push(std::mem::take(&mut cell).trim().to_owned()),
            '\n' if !quoted => {
                line.push(std::mem::take(&mut cell).trim().to_owned());
                done.push(std::mem::take(&mut line));
            }
            c => cell.push(c),
        }
    }
    if !cell.is_empty() || !line.is_empty() {
        line.push(cell.trim().to_owned());
        done.push(line);
    }
    done.retain(|line| line.iter().any(|cell| !cell.is_empty()));
    done
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{lines, piped, separated};

    #[test]
    fn cells_have_the_names_of_their_columns() {
        for (text, rows) in [
            (
                "Case,Labelled by\na,\"Ana, Bo\"\n\nb,\"say \"\"no\"\"\"\r\n",
                json!([{"case": "a", "labelled_by": "Ana, Bo"}, {"case": "b", "labelled_by": "say \"no\""}]),
            ),
            ("case\n\"two\nlines\"", json!([{"case": "two\nlines"}])),
            ("case,by\nshort", json!([{"case": "short"}])),
            ("", json!([])),
        ] {
            assert_eq!(separated(text, ',')["rows"], rows, "{text}");
        }
        assert_eq!(separated("a\tb\n1\t2,3\n", '\t')["rows"], json!([{"a": "1", "b": "2,3"}]));
    }

    #[test]
    fn a_line_that_is_no_json_is_named() {
        assert_eq!(lines("{\"a\": 1}\n\n{\"a\": 2}\n")["rows"], json!([{"a": 1}, {"a": 2}]));
        assert_eq!(lines("{}\n\nnope\n")["error"], json!("line 3 is not JSON"));
    }

    #[test]
    fn tables_of_a_page_are_rows_too() {
        let page = "| Control | Checks |\n|:--|--|\n| 3.5 | data/x |\n\ntext | no table\n\n| A |\n| - |\n| 1 |\n";
        let (columns, rows) = piped(page);
        assert_eq!(columns, ["control", "checks"]);
        assert_eq!(rows, [json!({"control": "3.5", "checks": "data/x"}), json!({"a": "1"})]);
        assert_eq!(piped("| A |\nno rule\n").1, Vec::<serde_json::Value>::new());
    }
}
