//! A tracker's numbers as a Prometheus page: a program that serves it, and scrapes itself once.
//!
//! ```console
//! cargo run --release --example metrics --features metrics
//! ```
//!
//! The tracker counts what is rare, anyway; its numbers are handed to the recorder when somebody asks
//! for the page, so between scrapes they cost nothing.

#[macro_use]
mod shared;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use incarnation::{Claim, Clock, IncarnationTracker, Status};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

fn main() -> Result<(), Box<dyn Error>> {
    shared::only_help(include_str!("metrics.rs"));
    let page = PrometheusBuilder::new().install_recorder()?;
    incarnation::describe_metrics();

    let clock = Clock::monotonic();
    let tracker: IncarnationTracker = IncarnationTracker::builder().max_nodes(100).build()?;
    for port in 7000..7120 {
        let node = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let _ = tracker.update(&node, Claim::alive(1), clock.now());
        if port % 5 == 0 {
            let _ = tracker.update(&node, Claim::suspect(1), clock.now());
        }
        if port % 10 == 0 {
            let _ = tracker.update(&node, Claim::dead(1), clock.now());
        }
        // Nobody honest jumps so far.
        let _ = tracker.update(&node, Claim::dead(1_000_000), clock.now());
    }
    let report = tracker.sweep(clock.now());
    eprintln!("{} nodes, {} evicted", tracker.len(), report.evicted());

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    eprintln!("serving http://{address}/metrics");
    let server = {
        let tracker = tracker.clone();
        thread::spawn(move || answer_one(&listener, &tracker, &page))
    };
    let body = scrape(address)?;
    match server.join() {
        Ok(served) => served?,
        Err(_) => return Err("the server panicked".into()),
    }
    shared::print(format_args!("{body}"));

    let wanted = format!(
        "incarnation_nodes{{tracker=\"peers\",status=\"suspect\"}} {}",
        tracker.counts().of(Status::Suspect)
    );
    if !body.lines().any(|line| line == wanted) {
        return Err(format!("the page lacks {wanted:?}").into());
    }
    Ok(())
}

/// Answers one request with the page.
fn answer_one(
    listener: &TcpListener,
    tracker: &IncarnationTracker,
    page: &PrometheusHandle,
) -> std::io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = BufReader::new(&stream);
    let mut line = String::new();
    // The headers end with an empty line.
    while request.read_line(&mut line)? > 2 {
        line.clear();
    }
    tracker.record_metrics("peers");
    let body = page.render();
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// What a Prometheus server would do every few seconds.
fn scrape(address: SocketAddr) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or("no headers")?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(head.to_owned().into());
    }
    Ok(body.to_owned())
}
