//! From text to an expression: tokens, then operators by how tightly they bind. Must not evaluate.

use super::{Expr, PromqlError};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 64;
/// What a range with a variable of a dashboard counts as, in seconds.
const VARIABLE_RANGE: f64 = 300.0;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Number(f64),
    Duration(f64),
    Text(String),
    Sign(&'static str),
}

const SIGNS: [&str; 22] = [
    "==", "!=", ">=", "<=", "=~", "!~", "(", ")", "{", "}", "[", "]", ",", "+", "-", "*", "/", "%", "^", ">", "<", "=",
];

pub(super) fn parse(text: &str) -> Result<Expr, PromqlError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let expr = parser.binary(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(wrong(&format!("{} is out of place", shown(token)))),
    }
}

fn wrong(message: &str) -> PromqlError {
    PromqlError(message.to_owned())
}

fn shown(token: &Token) -> String {
    match token {
        Token::Word(word) | Token::Text(word) => format!("`{}`", crate::text::shortened(word, 40)),
        Token::Number(number) | Token::Duration(number) => format!("`{number}`"),
        Token::Sign(sign) => format!("`{sign}`"),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, PromqlError> {
    let mut rest = text.trim_start();
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, tail) = match first {
            '#' => {
                rest = rest.split_once('\n').map_or("", |(_, tail)| tail).trim_start();
                continue;
            }
            '"' | '\'' | '`' => quoted(rest, first)?,
            '$' => variable(rest),
            c if c.is_ascii_digit() || c == '.' => number(rest)?,
            ':' if !rest
                .get(1..)
                .is_some_and(|tail| tail.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')) =>
            {
                (Token::Word(":".to_owned()), rest.get(1..).unwrap_or_default())
            }
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
                let (word, tail) = rest.split_at(end.unwrap_or(rest.len()));
                (Token::Word(word.to_owned()), tail)
            }
            '@' => (Token::Word("@".to_owned()), rest.get(1..).unwrap_or_default()),
            c => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| wrong(&format!("`{c}` means nothing here")))?;
                (Token::Sign(sign), rest.get(sign.len()..).unwrap_or_default())
            }
        };
        found.push(token);
        rest = tail.trim_start();
    }
    Ok(found)
}

fn quoted(text: &str, quote: char) -> Result<(Token, &str), PromqlError> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((Token::Text(value), text.get(at + 1..).unwrap_or_default()));
        }
        if c == '\\' && quote != '`' {
            value.extend(chars.next().map(|(_, c)| c));
        } else {
            value.push(c);
        }
    }
    Err(wrong("a text has no end"))
}

/// `$name`, `${name}` or `[[name]]` of a dashboard.
fn variable(text: &str) -> (Token, &str) {
    let tail = match text.strip_prefix("${") {
        Some(inner) => inner.split_once('}').map_or("", |(_, tail)| tail),
        None => text.get(1..).unwrap_or_default().trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
    };
    (Token::Word("$".to_owned()), tail)
}

fn number(text: &str) -> Result<(Token, &str), PromqlError> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(text.len());
    let (mut word, mut tail) = text.split_at(end);
    // 1e-3
    if word.ends_with(['e', 'E']) && tail.starts_with(['-', '+']) {
        let more = tail.get(1..).unwrap_or_default();
        let digits = more.find(|c: char| !c.is_ascii_digit()).unwrap_or(more.len());
        let length = word.len() + 1 + digits;
        (word, tail) = text.split_at(length);
    }
    if let Ok(number) = word.parse::<f64>() {
        return Ok((Token::Number(number), tail));
    }
    duration(word)
        .map(|seconds| (Token::Duration(seconds), tail))
        .ok_or_else(|| wrong(&format!("`{word}` is no number")))
}

fn duration(word: &str) -> Option<f64> {
    let mut rest = word;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "y" => 31_536_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = tail;
    }
    Some(total)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

/// Operators by how tightly they bind, the loosest first.
const LEVELS: [&[&str]; 6] =
    [&["or"], &["and", "unless"], &["==", "!=", ">=", "<=", ">", "<"], &["+", "-"], &["*", "/", "%", "atan2"], &["^"]];

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is(&self, sign: &str) -> bool {
        match self.peek() {
            Some(Token::Sign(found)) => *found == sign,
            Some(Token::Word(word)) => word.eq_ignore_ascii_case(sign),
            _ => false,
        }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_it = self.is(sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, sign: &str) -> Result<(), PromqlError> {
        if self.takes(sign) {
            return Ok(());
        }
        let found = self.peek().map_or_else(|| "the end".to_owned(), shown);
        Err(wrong(&format!("`{sign}` is expected before {found}")))
    }

    fn binary(&mut self, level: usize) -> Result<Expr, PromqlError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        self.depth += 1;
        if self.depth > MAX_DEPTH * LEVELS.len() {
            return Err(wrong("it is nested too deeply"));
        }
        let mut left = self.binary(level + 1)?;
        while let Some(op) = operators.iter().find(|op| self.is(op)) {
            self.at += 1;
            let is_bool = self.takes("bool");
            for word in ["on", "ignoring", "group_left", "group_right"] {
                if self.takes(word) && self.is("(") {
                    self.labels()?;
                }
            }
            // `^` binds to the right.
            let right = if level + 1 == LEVELS.len() { self.binary(level)? } else { self.binary(level + 1)? };
            left = Expr::Binary { op: (*op).to_owned(), is_bool, left: Box::new(left), right: Box::new(right) };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, PromqlError> {
        if self.takes("-") {
            let right = Box::new(self.unary()?);
            return Ok(Expr::Binary { op: "-".to_owned(), is_bool: false, left: Box::new(Expr::Number(0.0)), right });
        }
        self.takes("+");
        let expr = self.primary()?;
        self.modifiers(expr)
    }

    fn primary(&mut self) -> Result<Expr, PromqlError> {
        if self.takes("(") {
            let inner = self.binary(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.is("{") {
            return self.metric(String::new());
        }
        let token = self.peek().cloned().ok_or_else(|| wrong("it ends too early"))?;
        self.at += 1;
        match token {
            Token::Number(number) | Token::Duration(number) => Ok(Expr::Number(number)),
            Token::Text(text) => Ok(Expr::Text(text)),
            Token::Word(word) if word == "$" => Ok(Expr::Number(1.0)),
            Token::Word(word) if word.eq_ignore_ascii_case("inf") => Ok(Expr::Number(f64::INFINITY)),
            Token::Word(word) if word.eq_ignore_ascii_case("nan") => Ok(Expr::Number(f64::NAN)),
            Token::Word(word) if self.is("(") || self.is("by") || self.is("without") => self.call(&word),
            Token::Word(word) => self.metric(word),
            Token::Sign(sign) => Err(wrong(&format!("`{sign}` is out of place"))),
        }
    }

    fn grouping(&mut self) -> Result<(), PromqlError> {
        if self.takes("by") || self.takes("without") {
            self.labels()?;
        }
        Ok(())
    }

    fn call(&mut self, name: &str) -> Result<Expr, PromqlError> {
        self.grouping()?;
        self.expect("(")?;
        let mut args = Vec::new();
        while !self.takes(")") {
            args.push(self.binary(0)?);
            if !self.is(")") {
                self.expect(",")?;
            }
        }
        self.grouping()?;
        Ok(Expr::Call { name: name.to_lowercase(), args })
    }

    fn labels(&mut self) -> Result<(), PromqlError> {
        self.expect("(")?;
        while !self.takes(")") {
            match self.peek() {
                Some(Token::Word(_) | Token::Text(_)) => self.at += 1,
                _ => return Err(wrong("a list of labels has no end")),
            }
            if !self.is(")") {
                self.expect(",")?;
            }
        }
        Ok(())
    }

    fn metric(&mut self, mut name: String) -> Result<Expr, PromqlError> {
        let mut matchers = Vec::new();
        if self.takes("{") {
            while !self.takes("}") {
                let Some(Token::Word(label) | Token::Text(label)) = self.peek().cloned() else {
                    return Err(wrong("a label is expected"));
                };
                self.at += 1;
                if let Some(op) = ["=~", "!~", "!=", "="].into_iter().find(|op| self.takes(op)) {
                    let Some(Token::Text(value)) = self.peek().cloned() else {
                        return Err(wrong(&format!("the value of `{label}` must stand in quotes")));
                    };
                    self.at += 1;
                    if label == "__name__" {
                        name.clone_from(&value);
                    }
                    matchers.push((label, op.to_owned(), value));
                } else {
                    // {"metric", …}
                    name = label;
                }
                if !self.is("}") {
                    self.expect(",")?;
                }
            }
        }
        if name.is_empty() && matchers.is_empty() {
            return Err(wrong("a selector names no metric"));
        }
        Ok(Expr::Metric { name, matchers, range: None, offset: 0.0 })
    }

    fn seconds(&mut self) -> Result<f64, PromqlError> {
        let back = self.takes("-");
        let seconds = match self.peek() {
            Some(Token::Duration(seconds) | Token::Number(seconds)) => *seconds,
            Some(Token::Word(word)) if word == "$" => VARIABLE_RANGE,
            _ => return Err(wrong("a length of time such as `5m` is expected")),
        };
        self.at += 1;
        Ok(if back { -seconds } else { seconds })
    }

    fn modifiers(&mut self, mut expr: Expr) -> Result<Expr, PromqlError> {
        loop {
            if self.takes("[") {
                let length = self.seconds()?;
                let is_subquery = self.takes(":");
                if is_subquery && !self.is("]") {
                    self.seconds()?;
                }
                self.expect("]")?;
                expr = match expr {
                    Expr::Metric { name, matchers, offset, range: None } if !is_subquery => {
                        Expr::Metric { name, matchers, range: Some(length), offset }
                    }
                    inner => Expr::Subquery { inner: Box::new(inner), range: length, offset: 0.0 },
                };
            } else if self.takes("offset") {
                let by = self.seconds()?;
                match &mut expr {
                    Expr::Metric { offset, .. } | Expr::Subquery { offset, .. } => *offset += by,
                    _ => return Err(wrong("`offset` belongs to a metric")),
                }
            } else if self.takes("@") {
                self.primary()?;
            } else {
                return Ok(expr);
            }
        }
    }
}
