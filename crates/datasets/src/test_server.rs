//! A web server for tests: one thread, one connection at a time, on 127.0.0.1.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What to answer; `send` fewer bytes than the header says, and the connection breaks there.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) send: usize,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        let headers = vec![format!("Content-Length: {}", body.len())];
        Self {
            status,
            headers,
            body: body.to_vec(),
            send: body.len(),
        }
    }

    /// Answers as a file server does, to a range if asked for one.
    pub(crate) fn file(request: &Request, body: &[u8]) -> Self {
        match request.range {
            Some(start) if start >= body.len() => Self::new(416, b""),
            Some(start) => {
                let mut reply = Self::new(206, &body[start..]);
                reply.headers.push(format!(
                    "Content-Range: bytes {start}-{}/{}",
                    body.len() - 1,
                    body.len()
                ));
                reply
            }
            None => Self::new(200, body),
        }
    }

    pub(crate) fn breaking_after(mut self, send: usize) -> Self {
        self.send = send.min(self.body.len());
        self
    }
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) range: Option<usize>,
    /// How many requests came before this one.
    pub(crate) number: usize,
}

pub(crate) struct Server {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, ended) = (requests.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let number = seen.lock().unwrap().len();
                let stream = stream.unwrap();
                if let Some(request) = read(&stream, number) {
                    seen.lock().unwrap().push(request.clone());
                    write(stream, &answer(&request));
                }
            }
        });
        Self {
            address,
            requests,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the thread up
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: &TcpStream, number: usize) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_string();
    let mut range = None;
    for line in lines {
        let line = line.ok()?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(start) = line.strip_prefix("range: bytes=") {
            range = start.trim_end_matches('-').parse().ok();
        }
    }
    Some(Request { path, range, number })
}

fn write(mut stream: TcpStream, reply: &Reply) {
    let head = format!(
        "HTTP/1.1 {} Test\r\n{}\r\nConnection: close\r\n\r\n",
        reply.status,
        reply.headers.join("\r\n")
    );
    // the client may have hung up on purpose
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&reply.body[..reply.send]));
}
