//! The last lines that a process wrote, bounded in lines and bytes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::text::printable_line;

const LINES: usize = 40;
const LINE_BYTES: usize = 400;

/// Shared end of a process's output.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    open: Vec<u8>,
}

impl Tail {
    /// Reads a stream to its end, in the background. A second stream may go to the same tail.
    pub(super) fn follow(&self, mut stream: impl AsyncRead + Unpin + Send + 'static) -> tokio::task::JoinHandle<()> {
        let tail = self.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok(count) = stream.read(&mut buffer).await {
                match buffer.get(..count) {
                    Some(bytes) if !bytes.is_empty() => tail.add(bytes),
                    Some(_) | None => break,
                }
            }
        })
    }

    /// The lines, oldest first, harmless to print.
    pub(super) fn lines(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let open = (!kept.open.is_empty()).then(|| shown(&kept.open));
        kept.lines.iter().cloned().chain(open).collect()
    }

    fn add(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for &byte in bytes {
            if byte == b'\n' {
                let line = shown(&std::mem::take(&mut kept.open));
                kept.lines.push_back(line);
                if kept.lines.len() > LINES {
                    kept.lines.pop_front();
                }
            } else if kept.open.len() < LINE_BYTES {
                kept.open.push(byte);
            }
        }
    }
}

fn shown(line: &[u8]) -> String {
    printable_line(String::from_utf8_lossy(line).trim_end())
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, LINES, Tail};

    #[test]
    fn only_the_end_is_kept_and_it_is_harmless() {
        let tail = Tail::default();
        for number in 0..100 {
            tail.add(format!("line {number}\r\n").as_bytes());
        }
        tail.add(&vec![b'x'; 10_000]);
        tail.add(b"\n\x1b[2Jend");
        let lines = tail.lines();
        assert_eq!(lines.len(), LINES + 1);
        assert_eq!(lines.first().map(String::as_str), Some("line 61"));
        assert_eq!(lines[LINES - 1].len(), LINE_BYTES);
        assert_eq!(lines.last().map(String::as_str), Some("\\u{1b}[2Jend"));
    }
}
