//! Small servers over plain sockets that answer everything alike: a collector, which appends what is posted to it to a file,
//! one body a line; and a provider of models.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
};

/// A collector on a free loopback port until the test ends; gives its URL. After the first body it appends `more` too.
pub(crate) fn collector(path: &Path, more: &str) -> String {
    let file = File::options().append(true).create(true).open(path).expect("a file");
    start(Some((file, more.to_owned())), "{}")
}

/// A provider that always gives this answer.
pub(crate) fn provider(answer: &'static str) -> String {
    start(None, answer)
}

/// What is posted is appended to a file, and after the first body these lines.
type Kept = Option<(File, String)>;

fn start(file: Kept, answer: &'static str) -> String {
    let file = Arc::new(Mutex::new(file));
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let file = Arc::clone(&file);
            std::thread::spawn(move || serve(stream, &file, answer));
        }
    });
    url
}

fn serve(mut stream: TcpStream, file: &Mutex<Kept>, answer: &str) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    loop {
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        body.push(b'\n');
        if let Some((file, more)) = file.lock().expect("no panic").as_mut() {
            body.extend(std::mem::take(more).into_bytes());
            file.write_all(&body).expect("appended");
        }
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        if stream.write_all(format!("{head}{answer}").as_bytes()).is_err() {
            return;
        }
    }
}
