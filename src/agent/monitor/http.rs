//! The metrics over HTTP/1.1 (RFC 9112): GET and HEAD of `/metrics`, one request a connection, and nothing else. The body
//! of a request is not read.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Latest, each};
use crate::proto::metrics;

/// Longest head of a request, in octets.
const MAX_HEAD: usize = 8 * 1024;
/// Most fields of one.
const MAX_FIELDS: usize = 64;
/// What is there.
const PATH: &str = "/metrics";

/// What a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The metrics.
    Metrics,
    /// Their length alone.
    Head,
    /// A status line that says no.
    No(&'static str),
}

const BAD_REQUEST: Answer = Answer::No("400 Bad Request");
const NOT_FOUND: Answer = Answer::No("404 Not Found");
const METHOD: Answer = Answer::No("405 Method Not Allowed");
const TOO_LARGE: Answer = Answer::No("431 Request Header Fields Too Large");

/// Answers everybody who connects, for ever.
pub(super) async fn serve(listener: &TcpListener, status: Latest) {
    let accept = async || listener.accept().await.map(|(stream, _)| stream);
    each(accept, |stream: TcpStream| {
        let status = status.clone();
        async move {
            let _ = answer(stream, &status).await;
        }
    })
    .await;
}

async fn answer(mut stream: TcpStream, status: &Latest) -> std::io::Result<()> {
    let Some(answer) = read(&mut stream).await? else { return Ok(()) };
    let (line, text) = match answer {
        Answer::Metrics | Answer::Head => {
            let status = status.borrow().clone();
            ("200 OK", metrics::text(&status))
        }
        Answer::No(line) => (line, format!("{line}\n")),
    };
    let kind = if line == "200 OK" { metrics::CONTENT_TYPE } else { "text/plain; charset=utf-8" };
    let allow = if answer == METHOD { "Allow: GET, HEAD\r\n" } else { "" };
    let mut reply = format!(
        "HTTP/1.1 {line}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        text.len()
    );
    if answer != Answer::Head {
        reply.push_str(&text);
    }
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await?;
    // What is still under way is read and dropped, for a reset would take the answer away.
    let mut rest = [0; 1024];
    let mut left = MAX_HEAD;
    while left > 0 {
        match stream.read(&mut rest).await? {
            0 => break,
            length => left = left.saturating_sub(length),
        }
    }
    Ok(())
}

/// Reads the head of a request; none if the client goes before it has said anything.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Answer>> {
    let mut head = Vec::with_capacity(1024);
    loop {
        if let Some(answer) = judge(&head) {
            return Ok(Some(answer));
        }
        if head.len() >= MAX_HEAD {
            return Ok(Some(TOO_LARGE));
        }
        let room = MAX_HEAD - head.len();
        if (&mut *stream).take(room as u64).read_buf(&mut head).await? == 0 {
            return Ok((!head.is_empty()).then_some(BAD_REQUEST));
        }
    }
}

/// What a head gets; none while it is not whole.
fn judge(head: &[u8]) -> Option<Answer> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Some(TOO_LARGE),
        Err(_) => return Some(BAD_REQUEST),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else { return Some(BAD_REQUEST) };
    // A query and what a proxy would put in front make no difference (RFC 9112 section 3.2).
    let path = target.split('?').next().unwrap_or_default();
    let path = match path.strip_prefix("http://") {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => path,
    };
    Some(match (path, method) {
        (PATH, "GET") => Answer::Metrics,
        (PATH, "HEAD") => Answer::Head,
        (PATH, _) => METHOD,
        _ => NOT_FOUND,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_get_and_head_of_the_metrics_are_served() {
        let head = |line: &str| judge(format!("{line}\r\nHost: localhost:9822\r\n\r\n").as_bytes());
        for line in ["GET /metrics HTTP/1.1", "GET /metrics?x=1 HTTP/1.0", "GET http://x:1/metrics HTTP/1.1"]
        {
            assert_eq!(head(line), Some(Answer::Metrics), "{line}");
        }
        assert_eq!(head("HEAD /metrics HTTP/1.1"), Some(Answer::Head));
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "CONNECT"] {
            assert_eq!(head(&format!("{method} /metrics HTTP/1.1")), Some(METHOD), "{method}");
        }
        for target in ["/", "/metrics/", "//metrics", "/metricsx", "*", "http://metrics", "/../metrics"] {
            assert_eq!(head(&format!("GET {target} HTTP/1.1")), Some(NOT_FOUND), "{target}");
        }
        for bad in ["GET", "GET /metrics", "GET /metrics HTTP/9", "\0", "GET /metrics HTTP/1.1\r\nno field"] {
            assert_eq!(head(bad), Some(BAD_REQUEST), "{bad:?}");
        }
        assert_eq!(judge(b""), None);
        assert_eq!(judge(b"GET /metrics HTTP/1.1\r\nHost:"), None);
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(judge(many.as_bytes()), Some(TOO_LARGE));
    }
}
