//! `lab train --serve` and `lab report --serve`: a client reads the page and the events.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::program::Lab;

/// A program that serves, until it is told to stop.
struct Serving {
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
    said: String,
    address: SocketAddr,
}

impl Serving {
    /// Starts `lab` and waits until it says where its page is.
    fn start(lab: &Lab, arguments: &[&str]) -> Self {
        let mut child = lab
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().map(BufReader::new);
        // From here on the program is ended whatever happens.
        let mut serving = Serving {
            child,
            stderr,
            said: String::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        loop {
            let start = serving.said.len();
            let stderr = serving.stderr.as_mut().expect("stderr");
            let read = stderr.read_line(&mut serving.said).expect("a line");
            assert!(read > 0, "no address: {}", serving.said);
            if let Some(rest) = serving.said[start..].split("http://").nth(1) {
                let address = rest.split('/').next().and_then(|address| address.parse().ok());
                serving.address = address.unwrap_or_else(|| panic!("{}", serving.said));
                assert!(serving.address.ip().is_loopback());
                return serving;
            }
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        // A test that hears nothing fails instead of waiting for ever.
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        stream
    }

    /// Sends a request as it is written, and reads the whole answer.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn get(&self, path: &str, host: &str) -> String {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ))
    }

    /// The stream of events.
    fn events(&self) -> Events {
        let mut stream = self.connect();
        write!(stream, "GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).expect("a request");
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).expect("a line") > 0, "{head}");
        }
        assert!(
            head.starts_with("HTTP/1.1 200 OK") && head.contains("text/event-stream"),
            "{head}"
        );
        Events(lines)
    }

    /// Ctrl-C; what the program said, and its exit code.
    fn stop(mut self) -> (String, Option<i32>) {
        let killed = Command::new("sh")
            .args(["-c", &format!("kill -INT {}", self.child.id())])
            .status();
        assert!(killed.expect("kill runs").success());
        let mut said = std::mem::take(&mut self.said);
        let stderr = self.stderr.as_mut().expect("stderr");
        stderr.read_to_string(&mut said).expect("the rest");
        (said, self.child.wait().expect("an end").code())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Only where a test failed is there anything left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Events(BufReader<TcpStream>);

impl Events {
    /// The next event of a kind, with its data.
    fn next(&mut self, wanted: &str) -> Value {
        let (mut kind, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            assert!(
                self.0.read_line(&mut line).expect("an event in time") > 0,
                "the stream ended before '{wanted}'"
            );
            if let Some(name) = line.trim_end().strip_prefix("event: ") {
                kind = name.to_string();
            } else if let Some(data) = line.trim_end().strip_prefix("data: ")
                && kind == wanted
            {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }

    /// The points that the next figure of this name shows, as its marks say them: `(x, y)`.
    fn points(&mut self, key: &str) -> Vec<(f64, f64)> {
        loop {
            let figure = self.next("figure");
            if figure["key"] == key {
                let svg = figure["svg"].as_str().expect("a drawing");
                let prefix = format!("<title>{key}: (");
                let point = |text: &str| {
                    let (x, y) = text.split(')').next()?.split_once(", ")?;
                    Some((x.parse().ok()?, y.parse().ok()?))
                };
                return svg
                    .split(&prefix)
                    .skip(1)
                    .map(|text| point(text).unwrap_or_else(|| panic!("{text:.60}")))
                    .collect();
            }
        }
    }
}

#[test]
fn curves_grow_while_the_training_runs() {
    let lab = Lab::new();
    let serving = Serving::start(&lab, &["train", "--epochs", "100000", "--serve", "0"]);
    let page = serving.get("/", &serving.address.to_string());
    assert!(page.starts_with("HTTP/1.1 200"), "{page:.300}");
    for part in [
        "text/html",
        "X-Frame-Options: DENY",
        "connect-src 'self'",
        "EventSource",
        " on digits</h1>",
    ] {
        assert!(page.contains(part), "no {part}");
    }
    let mut events = serving.events();
    let first = events.points("accuracy");
    let mut later = events.points("accuracy");
    while later.len() < first.len() + 2 {
        later = events.points("accuracy");
    }
    assert_eq!(later[..first.len()], first, "what was drawn stays");
    let state = events.next("state");
    assert!(
        state["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("epoch ") && text.contains("images/s")),
        "{state}"
    );
    assert!(
        state["share"].as_f64().is_some_and(|share| share > 0.0 && share < 1.0),
        "{state}"
    );
    // Who comes later sees the same.
    assert!(serving.events().points("accuracy").len() >= later.len());
    let (said, code) = serving.stop();
    assert_eq!(code, Some(1), "an interrupted training has failed: {said}");
    let end = events.next("end");
    assert!(
        end["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("Interrupted after ") && text.ends_with("of 100000 epochs.")),
        "{end}"
    );
    // The curve shows what the terminal said.
    let mut compared = 0;
    for ((epoch, accuracy), line) in later.iter().zip(said.lines().filter(|line| line.starts_with("epoch "))) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], format!("{epoch}/100000"));
        let at = words.iter().position(|word| *word == "accuracy").expect("an accuracy");
        let told: f64 = words[at + 1]
            .split('\u{a0}')
            .next()
            .and_then(|text| text.parse().ok())
            .expect("a number");
        assert!((told - accuracy * 100.0).abs() < 0.011, "{line}: {accuracy}");
        compared += 1;
    }
    assert!(compared >= 3, "{said}");
    assert!(lab.files().is_empty());
}

#[test]
fn only_this_machine_is_answered() {
    let lab = Lab::new();
    let serving = Serving::start(&lab, &["train", "--epochs", "100000", "--serve", "0"]);
    let here = serving.address.to_string();
    let port = serving.address.port();
    for host in [here.as_str(), &format!("localhost:{port}")] {
        assert!(serving.get("/", host).starts_with("HTTP/1.1 200"), "{host}");
    }
    // A name of another site that was made to mean 127.0.0.1, another port, nothing.
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1",
        &format!("127.0.0.1:{port}.evil.example"),
        "",
    ] {
        for path in ["/", "/events"] {
            let answer = serving.get(path, host);
            assert!(
                answer.starts_with("HTTP/1.1 403") && !answer.contains("<svg"),
                "{host}: {answer:.200}"
            );
        }
    }
    for (request, status) in [
        (
            format!("GET / HTTP/1.1\r\nHost: {here}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
            "403",
        ),
        ("GET / HTTP/1.0\r\nConnection: close\r\n\r\n".to_string(), "403"),
        (
            format!("POST / HTTP/1.1\r\nHost: {here}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            "405",
        ),
        (
            format!("GET /../../etc/passwd HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n"),
            "404",
        ),
        (
            format!("HEAD / HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n"),
            "200",
        ),
    ] {
        let answer = serving.ask(&request);
        assert!(answer.split(' ').nth(1) == Some(status), "{request}: {answer:.200}");
        assert!(!answer.contains("Access-Control-Allow"), "no other site may read this");
    }
    // The port is taken, and that is said.
    lab.fails(
        &["train", "--serve", &port.to_string()],
        &[&port.to_string(), "--serve"],
    );
    assert_eq!(serving.stop().1, Some(1));
}

#[test]
fn a_report_is_loaded_again_when_it_has_changed() {
    let lab = Lab::new();
    lab.fails(&["report", "--serve", "0"], &["index.html", "--report"]);
    lab.succeeds(&["exercise", "1", "--report", "report"]);
    let serving = Serving::start(&lab, &["report", "--serve", "0", "--report", "report"]);
    let here = serving.address.to_string();
    let page = serving.get("/", &here);
    assert!(
        page.contains("id=\"exercise-1\"") && page.contains("location.reload()") && page.contains("connect-src 'self'")
    );
    let mut events = serving.events();
    let file = lab.path("report/index.html");
    let text = std::fs::read_to_string(&file).expect("a page");
    // The file itself knows nothing of the server.
    assert!(!text.contains("EventSource"));
    std::fs::write(&file, text.replace("At a glance", "At another glance")).expect("written");
    events.next("changed");
    assert!(serving.get("/", &here).contains("At another glance"));
    let (said, code) = serving.stop();
    assert_eq!(code, Some(0), "{said}");
    events.next("end");
}

#[test]
fn curves_of_a_file_grow_with_it() {
    let lab = Lab::new();
    std::fs::write(lab.path("other.csv"), "a,b\n1,2\n").expect("written");
    lab.fails(
        &["report", "--serve", "0", "--csv", "other.csv"],
        &["other.csv", "epoch"],
    );
    lab.fails(
        &["report", "--serve", "0", "--csv", "missing.csv"],
        &["missing.csv", "lab train --csv"],
    );
    lab.succeeds(&["train", "--epochs", "2", "--csv", "run.csv"]);
    let serving = Serving::start(&lab, &["report", "--serve", "0", "--csv", "run.csv"]);
    let mut events = serving.events();
    let before = events.points("loss");
    assert_eq!(before.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [1.0, 2.0]);
    let text = std::fs::read_to_string(lab.path("run.csv")).expect("a file");
    let last = text.lines().last().expect("a line").replacen('1', "2", 1);
    // A line that is half written is left for later.
    std::fs::write(lab.path("run.csv"), format!("{text}{last}\r\n3,0.5")).expect("written");
    let after = events.points("loss");
    assert_eq!((after.len(), &after[..2]), (3, &before[..]));
    assert_eq!(serving.stop().1, Some(0));
}
