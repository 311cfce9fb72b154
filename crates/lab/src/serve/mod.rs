//! A page on 127.0.0.1 and a stream of events beside it.
//!
//! Only this machine is listened to. A page of another site that gets its own name to mean 127.0.0.1 (DNS rebinding) sends that name
//! as `Host`, which is refused; nothing is answered that changes anything, and nothing is read from elsewhere.

pub(crate) mod curves;
mod events;
mod follow;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};
use tiny_http::{Header, Method, Request, Response};

pub(crate) use self::events::Events;
pub(crate) use self::follow::run as follow;

/// More browsers than this at one time are sent away: each of them has a thread.
const MOST_LISTENERS: usize = 16;

/// What stands at `/`; asked for at each request.
type PageOf = Box<dyn Fn() -> Result<String> + Send + Sync>;

/// A server that runs until it is dropped or told to stop.
pub(crate) struct Server {
    http: Arc<tiny_http::Server>,
    address: SocketAddr,
    events: Events,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a port of 127.0.0.1, 0 for any that is free.
    pub(crate) fn start(port: u16, page: PageOf) -> Result<Self> {
        let http = tiny_http::Server::http((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
            anyhow!("127.0.0.1:{port} cannot be listened to: {error}; choose another port with --serve PORT, 0 for any that is free")
        })?;
        let address = http
            .server_addr()
            .to_ip()
            .ok_or_else(|| anyhow!("the server has no address"))?;
        let (http, events) = (Arc::new(http), Events::default());
        let thread = {
            let (http, events) = (Arc::clone(&http), events.clone());
            std::thread::spawn(move || {
                // Ends when the server is told to.
                for request in http.incoming_requests() {
                    answer(request, address, &page, &events);
                }
            })
        };
        Ok(Server {
            http,
            address,
            events,
            thread: Some(thread),
        })
    }

    /// Where a browser finds the page.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What is sent to every page.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }
}

impl Drop for Server {
    /// Lets go of every browser, then of the port.
    fn drop(&mut self) {
        self.events.close();
        self.http.unblock();
        if let Some(thread) = self.thread.take() {
            // A request that broke its thread has been answered as far as it could be.
            let _ = thread.join();
        }
    }
}

/// Answers one request; a browser that went away needs no answer.
fn answer(request: Request, address: SocketAddr, page: &PageOf, events: &Events) {
    let refused = |status: u16, text: &str| plain(status, text);
    let path = request.url().split('?').next().unwrap_or_default().to_string();
    let response = if !is_for_us(&request, address) {
        refused(
            403,
            "This page is for this machine alone; open it by the address that lab printed.\n",
        )
    } else if !matches!(request.method(), Method::Get | Method::Head) {
        refused(405, "Here is nothing but pages to read.\n")
    } else {
        match path.as_str() {
            "/" => match page() {
                Ok(html) => with_headers(Response::from_string(html), "text/html; charset=utf-8"),
                Err(error) => refused(500, &format!("{}\n", crate::one_line(&error))),
            },
            "/events" if *request.method() == Method::Get => match events.listen(MOST_LISTENERS) {
                Some(listener) => {
                    let stream = request.into_writer();
                    std::thread::spawn(move || listener.write_to(stream));
                    return;
                }
                None => refused(503, "There are too many pages open; close some.\n"),
            },
            _ => refused(404, "There is one page here, at /\n"),
        }
    };
    let _ = request.respond(response);
}

/// Whether the browser believes that it talks to this server, and to no other name.
fn is_for_us(request: &Request, address: SocketAddr) -> bool {
    let port = address.port();
    let mut hosts = request.headers().iter().filter(|header| header.field.equiv("Host"));
    let host = hosts.next().map(|header| header.value.as_str().to_ascii_lowercase());
    hosts.next().is_none()
        && host.is_some_and(|host| host == format!("127.0.0.1:{port}") || host == format!("localhost:{port}"))
}

fn plain(status: u16, text: &str) -> Response<std::io::Cursor<Vec<u8>>> {
    with_headers(Response::from_string(text), "text/plain; charset=utf-8").with_status_code(status)
}

/// What keeps other sites from using what is served here.
const HEADERS: [(&str, &str); 5] = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

fn with_headers(response: Response<std::io::Cursor<Vec<u8>>>, kind: &str) -> Response<std::io::Cursor<Vec<u8>>> {
    let headers = HEADERS.into_iter().chain([("Content-Type", kind)]);
    headers
        .filter_map(|(name, value)| Header::from_bytes(name, value).ok())
        .fold(response, Response::with_header)
}

/// The beginning of a stream of events.
fn write_head(stream: &mut dyn Write) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n")?;
    for (name, value) in HEADERS {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.flush()
}
