//! The least HTTP client that a test needs: one request, one answer, no runtime.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// `GET`; none if nobody answers.
pub fn get(at: SocketAddr, path: &str) -> Option<Answer> {
    request(at, "GET", path, &[])
}

/// `GET` with headers.
pub fn get_with(at: SocketAddr, path: &str, headers: &[&str]) -> Option<Answer> {
    request(at, "GET", path, headers)
}

/// `POST` with headers and no body; none if nobody answers.
pub fn post(at: SocketAddr, path: &str, headers: &[&str]) -> Option<Answer> {
    request(at, "POST", path, headers)
}

fn request(at: SocketAddr, method: &str, path: &str, headers: &[&str]) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let headers = headers.join("\r\n");
    let headers = if headers.is_empty() { headers } else { headers + "\r\n" };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Some(Answer { status, body: body.to_owned() })
}
