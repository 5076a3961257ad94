//! A small agent over plain sockets, so that tests need no server library.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

/// An agent that gives one answer after a pause and remembers which sessions it saw.
pub(crate) struct Agent {
    pub(crate) url: String,
    pub(crate) sessions: Arc<Mutex<Vec<String>>>,
}

/// Serves it on a free loopback port until the test ends.
pub(crate) fn agent(pause: Duration, answer: &str) -> Agent {
    let answer = serde_json::json!({"answer": answer}).to_string();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let sessions = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sessions);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream, (pause, &answer), &seen));
        }
    });
    Agent { url, sessions }
}

fn serve(mut stream: TcpStream, (pause, answer): (Duration, &str), seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let session = body["session_id"].as_str().unwrap_or_default().to_owned();
        std::thread::sleep(pause);
        seen.lock().expect("no panic").push(session);
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        if stream.write_all(format!("{head}{answer}").as_bytes()).is_err() {
            return;
        }
    }
}
