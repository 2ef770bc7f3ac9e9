//! The way to a service over TLS, with a certificate of a company's own, and through a proxy.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use common::Repo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A service over TLS that says OK to all calls, with a certificate of an authority that nobody knows.
struct Service {
    port: u16,
    /// The authority's certificate, as PEM.
    authority: String,
    /// The contacts that were triggered, one for each call.
    called: Receiver<String>,
}

impl Service {
    /// One that can prove that it is `name`.
    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new([name.to_owned()]).unwrap();
        let own = own.signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)
            .unwrap();
        let tls = Arc::new(tls);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, called) = mpsc::channel();
        thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (tls, sender) = (tls.clone(), sender.clone());
                thread::spawn(move || {
                    let connection = ServerConnection::new(tls).unwrap();
                    // A client that does not believe the certificate goes away.
                    let _ = answer(StreamOwned::new(connection, tcp), &sender);
                });
            }
        });
        let authority = authority.pem();
        Self {
            port,
            authority,
            called,
        }
    }

    fn called(&self) -> Vec<String> {
        self.called.try_iter().collect()
    }
}

/// Answers the calls of one connection.
fn answer(
    stream: StreamOwned<ServerConnection, TcpStream>,
    called: &mpsc::Sender<String>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        called
            .send(body["externalContactId"].as_str().unwrap().to_owned())
            .unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"result\":\"OK\"}";
        stream.get_mut().write_all(answer)?;
    }
}

/// A proxy that leads every connection to one port. Gives its own port, and what it was asked for.
fn proxy(to: u16, status: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut head = BufReader::new(client.try_clone().unwrap());
            let mut text = String::new();
            while !text.ends_with("\r\n\r\n") && head.read_line(&mut text).unwrap() > 0 {}
            sender.send(text).unwrap();
            write!(&client, "HTTP/1.1 {status}\r\n\r\n").unwrap();
            let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (port, asked)
}

fn repo(base: &str, service: &Service) -> Repo {
    let repo = Repo::with(&format!(
        "[spotler]\nbase_url = \"{base}\"\n\
         [automation.welcome]\ntrigger_code = \"w-1\"\n\
         [[enrol]]\nautomation = \"welcome\"\ncontacts = [\"crm-1\", \"crm-2\"]\n"
    ));
    repo.write("authority.pem", &service.authority);
    repo
}

#[test]
fn a_certificate_of_the_systems_own_authority_is_believed_and_no_other() {
    let service = Service::named("localhost");
    let repo = repo(&format!("https://localhost:{}/x", service.port), &service);
    // A container may have no certificates at all: then those count that Rollcall brings along.
    repo.write("none.pem", "");
    let none = repo.file("none.pem");
    let repo = repo.env("SSL_CERT_FILE", none.to_str().unwrap());
    let done = repo.run(&["apply", "--yes", "--retry-for", "1s"]).exits(3);
    assert!(
        done.stdout.contains("UnknownIssuer"),
        "{}{}",
        done.stdout,
        done.stderr
    );
    assert_eq!(service.called(), [""; 0]);

    let authority = repo.file("authority.pem");
    // What is on this machine is not asked of a proxy, of which there is none here.
    let repo = repo
        .env("SSL_CERT_FILE", authority.to_str().unwrap())
        .env("HTTPS_PROXY", "http://127.0.0.1:1");
    repo.apply().exits(0);
    assert_eq!(
        repo.recorded(),
        ["welcome crm-1 active", "welcome crm-2 active"]
    );
    let mut called = service.called();
    called.sort();
    assert_eq!(called, ["crm-1", "crm-2"]);
}

#[test]
fn a_proxy_leads_to_the_service_and_does_not_see_what_is_said() {
    let service = Service::named("spotler.invalid");
    let (port, asked) = proxy(service.port, "200 OK");
    let repo = repo("https://spotler.invalid/x", &service);
    let authority = repo.file("authority.pem");
    let repo = repo.env("SSL_CERT_FILE", authority.to_str().unwrap()).env(
        "HTTPS_PROXY",
        &format!("http://user:pass-word@127.0.0.1:{port}"),
    );
    repo.apply().exits(0);
    assert_eq!(
        repo.recorded(),
        ["welcome crm-1 active", "welcome crm-2 active"]
    );
    assert_eq!(service.called().len(), 2);
    let asked = asked.recv().unwrap();
    assert!(
        asked.starts_with("CONNECT spotler.invalid:443 HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("proxy-authorization: Basic dXNlcjpwYXNzLXdvcmQ=\r\n"),
        "{asked}"
    );
    assert!(!asked.contains("oauth"), "{asked}");
}

#[test]
fn a_proxy_that_refuses_is_named_and_nothing_is_sent() {
    let service = Service::named("spotler.invalid");
    let (port, _asked) = proxy(service.port, "407 Who are you");
    let repo = repo("https://spotler.invalid/x", &service).env(
        "HTTPS_PROXY",
        &format!("http://user:pass-word@127.0.0.1:{port}"),
    );
    let done = repo.run(&["apply", "--yes", "--retry-for", "1s"]).exits(3);
    let told = done.stdout + &done.stderr;
    assert!(
        told.contains("proxy 127.0.0.1: tunnel error: proxy authorization required"),
        "{told}"
    );
    assert!(!told.contains("pass-word"), "{told}");
    assert_eq!(service.called(), [""; 0]);
    assert!(repo.recorded().iter().all(|one| one.ends_with(" failed")));
}
