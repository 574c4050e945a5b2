//! The API over TLS, and the file with its key.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::{fs, thread};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::places::Place;
use super::{Keys, PUBLISH, attempt_at};
use crate::support::peer::command;
use crate::support::run_ok;

const OWNER: &str = "r1.example.test";

/// TLS in front of a server, as a reverse proxy would be: a request, then its whole answer.
fn in_front_of(server: SocketAddr, folder: &Path) -> SocketAddr {
    let (key, certificate) = (folder.join("tls.key"), folder.join("tls.pem"));
    let mut openssl = command("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]);
    openssl.args(["-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    run_ok(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate));
    let certificates = vec![CertificateDer::from_pem_file(&certificate).unwrap()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::from_pem_file(&key).unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(certificates, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, config) = (client.unwrap(), config.clone());
            thread::spawn(move || {
                let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), client);
                let mut request = Vec::new();
                let mut portion = [0; 4096];
                while !is_whole(&request) {
                    match tls.read(&mut portion) {
                        Ok(0) | Err(_) => return,
                        Ok(length) => request.extend_from_slice(&portion[..length]),
                    }
                }
                let mut server = TcpStream::connect(server).unwrap();
                server.write_all(&request).unwrap();
                let mut answer = Vec::new();
                server.read_to_end(&mut answer).unwrap();
                tls.write_all(&answer).unwrap();
                tls.conn.send_close_notify();
                let _ = tls.flush();
            });
        }
    });
    addr
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    body.len() >= length
}

#[test]
fn the_api_is_reached_over_tls_by_whoever_certified_it_and_by_nobody_else() {
    let place = Place::powerdns();
    let Place::PowerDns(pdns) = &place else { panic!("not PowerDNS") };
    let keys = Keys::new(&place);
    let api: SocketAddr = pdns.url().trim_start_matches("http://").parse().unwrap();
    let front = in_front_of(api, place.sandbox().path());
    let mut options = place.options();
    options[1] = format!("https://{front}");
    let publish =
        |options: &[String]| attempt_at(&place, OWNER, PUBLISH, &[keys.key('a')], &[], options, "zone").0;
    let unknown = publish(&options);
    assert_eq!(unknown.code, Some(1), "{unknown:#?}");
    assert!(unknown.stderr.contains("--ca-file"), "{unknown:#?}");
    options.extend(["--ca-file".to_owned(), place.sandbox().join("tls.pem").display().to_string()]);
    let known = publish(&options);
    assert_eq!((known.code, known.stderr.as_str()), (Some(0), ""), "{known:#?}");
    assert_eq!(place.shows(OWNER, &keys.records("a")).0, keys.records("a"));
    // Certified, but for another host.
    options[1] = format!("https://localhost:{}", front.port());
    assert_eq!(publish(&options).code, Some(1));
}

#[test]
fn the_api_key_is_for_nobody_else_to_read_and_is_never_told() {
    let place = Place::powerdns();
    let Place::PowerDns(pdns) = &place else { panic!("not PowerDNS") };
    let keys = Keys::new(&place);
    let mut options = place.options();
    let publish =
        |options: &[String]| attempt_at(&place, OWNER, PUBLISH, &[keys.key('a')], &["-v"], options, "zone").0;
    let file = place.sandbox().join("some.key");
    for (text, mode, good) in [
        (pdns.key.clone(), 0o600, true),
        (pdns.key.clone(), 0o640, true),
        (pdns.key.clone(), 0o644, false),
        (pdns.key.clone(), 0o660, false),
        (String::new(), 0o600, false),
        (format!("{0}\n{0}", pdns.key), 0o600, false),
        (format!("{}\u{e9}", pdns.key), 0o600, false),
    ] {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        options[3] = file.display().to_string();
        let finished = publish(&options);
        assert_eq!(finished.code, Some(if good { 0 } else { 2 }), "{mode:o}: {finished:#?}");
        assert!(
            !finished.stderr.contains(&pdns.key) && !finished.stdout.contains(&pdns.key),
            "{finished:#?}"
        );
        assert_eq!(finished.stderr.contains("by its group"), mode == 0o640, "{finished:#?}");
    }
}
