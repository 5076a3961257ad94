//! Tables with commas (RFC 4180), read record by record.

/// One line of cells, which may span several lines of text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it begins.
    pub(super) byte: usize,
    pub(super) cells: Vec<String>,
}

/// What breaks the form, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) byte: usize,
    pub(super) message: &'static str,
}

/// Gives the records of a text. Nothing follows a broken one, because nobody knows where it ends.
pub(super) struct Records<'t> {
    text: &'t str,
    at: usize,
    ended: bool,
}

impl<'t> Records<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, ended: false }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes a line break, if one stands here.
    fn takes_break(&mut self) -> bool {
        let rest = self.rest();
        let taken = if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with(['\n', '\r'])) };
        self.at += taken;
        taken > 0
    }

    fn cell(&mut self) -> Result<String, Broken> {
        let rest = self.rest();
        let Some(inner) = rest.strip_prefix('"') else {
            let end = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
            self.at += end;
            return Ok(rest.get(..end).unwrap_or_default().to_owned());
        };
        let opened = self.at;
        let mut cell = String::new();
        let mut from = inner;
        loop {
            let Some((head, tail)) = from.split_once('"') else {
                return Err(Broken { byte: opened, message: "this quote never ends" });
            };
            cell.push_str(head);
            let Some(further) = tail.strip_prefix('"') else {
                self.at = self.text.len() - tail.len();
                break;
            };
            cell.push('"');
            from = further;
        }
        let next = self.rest().chars().next();
        if next.is_none_or(|c| matches!(c, ',' | '\n' | '\r')) {
            Ok(cell)
        } else {
            Err(Broken { byte: self.at, message: "after a quoted cell a comma or a new line must follow" })
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended && self.takes_break() {}
        if self.ended || self.rest().is_empty() {
            return None;
        }
        let byte = self.at;
        let mut cells = Vec::new();
        loop {
            match self.cell() {
                Ok(cell) => cells.push(cell),
                Err(broken) => {
                    self.ended = true;
                    return Some(Err(broken));
                }
            }
            if self.rest().starts_with(',') {
                self.at += 1;
            } else {
                self.takes_break();
                return Some(Ok(Record { byte, cells }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Records;

    fn cells(text: &str) -> Vec<Vec<String>> {
        Records::new(text).map(|record| record.expect("a record").cells).collect()
    }

    #[test]
    fn cells_are_read_as_they_were_written() {
        for (text, wanted) in [
            ("a,b\n1,2\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a\r\n\r\nb", vec![vec!["a"], vec!["b"]]),
            ("\"a,\"\"b\"\"\nc\",d", vec![vec!["a,\"b\"\nc", "d"]]),
            ("a,\n,b", vec![vec!["a", ""], vec!["", "b"]]),
            ("a\"b,\"\"", vec![vec!["a\"b", ""]]),
            ("", vec![]),
        ] {
            assert_eq!(cells(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn what_is_broken_is_told_with_its_place() {
        for (text, byte) in [("a,\"b", 2), ("\"a\"b", 3)] {
            let broken = Records::new(text).find_map(Result::err).expect("is broken");
            assert_eq!(broken.byte, byte, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_cell_survives(rows in prop::collection::vec(prop::collection::vec(any::<String>(), 2..4), 1..4)) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let text: Vec<String> = rows.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",")).collect();
            prop_assert_eq!(cells(&text.join("\r\n")), rows);
        }
    }
}
