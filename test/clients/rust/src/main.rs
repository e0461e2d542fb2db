// SPDX-License-Identifier: MIT

//! Clients in Rust for test/clients: driver KIND URL [TRANSPORT...]
//!
//! The protocol of a driver is in ../clients.test.mjs. KIND: socketio, ws (tungstenite), sse.

use futures_util::StreamExt;
use reqwest_eventsource::{Event as SseEvent, EventSource};
use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{json, Value};
use std::io::{self, BufRead, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tungstenite::{stream::MaybeTlsStream, Message};

fn say(line: Value) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

fn bytes_of(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31) as u8).collect()
}

/// What is said of bytes: their number and a sum.
fn sum_of(bytes: &[u8]) -> Value {
    let sum: u64 = bytes.iter().enumerate().map(|(i, b)| *b as u64 * (i as u64 % 251 + 1)).sum();
    json!({ "size": bytes.len(), "sum": sum })
}

fn plain(payload: Payload) -> Vec<Value> {
    match payload {
        Payload::Binary(bytes) => vec![sum_of(&bytes)],
        Payload::Text(values) => values,
        #[allow(deprecated)]
        Payload::String(text) => vec![Value::String(text)],
    }
}

fn orders() -> impl Iterator<Item = Value> {
    io::stdin()
        .lock()
        .lines()
        .map_while(|line| line.ok().and_then(|text| serde_json::from_str(&text).ok()))
        .take_while(|order: &Value| order["do"] != "close")
}

fn socket_io(url: &str, transports: &[String]) {
    let kind = match transports {
        [one] if one == "polling" => TransportType::Polling,
        [one] if one == "websocket" => TransportType::Websocket,
        _ => TransportType::Any,
    };
    let client = ClientBuilder::new(url)
        .transport_type(kind)
        .reconnect(true)
        .reconnect_on_disconnect(true)
        .reconnect_delay(200, 1000)
        .on(Event::Connect, |_, _| say(json!({ "state": "connected" })))
        .on(Event::Close, |_, _| say(json!({ "state": "disconnected" })))
        .on_any(|event, payload, _| say(json!({ "got": String::from(event), "args": plain(payload) })))
        .connect()
        .expect("a connection");
    for order in orders() {
        let event = order["event"].as_str().unwrap_or("bytes").to_owned();
        let args = order["args"].as_array().cloned().unwrap_or_default();
        let sent = match order["do"].as_str() {
            Some("bytes") => client.emit(event, bytes_of(order["size"].as_u64().unwrap_or(0) as usize)),
            Some("emit") => client.emit(event, Payload::Text(args)),
            _ => client.emit_with_ack(event, Payload::Text(args), Duration::from_secs(20), |payload, _| {
                // This library hands over the list of arguments as one value.
                let values = match plain(payload).as_slice() {
                    [Value::Array(values)] => values.clone(),
                    values => values.to_vec(),
                };
                say(json!({ "ack": values }))
            }),
        };
        if let Err(error) = sent {
            eprintln!("{error}");
        }
    }
    client.disconnect().ok();
}

/// A blocking socket: it is read for a moment, then what is to be sent is sent.
fn web_socket(url: &str) {
    let (to_send, sent) = mpsc::channel::<Message>();
    let address = url.to_owned();
    thread::spawn(move || loop {
        if let Ok((mut socket, _)) = tungstenite::connect(&address) {
            if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
                let stream: &TcpStream = stream;
                stream.set_read_timeout(Some(Duration::from_millis(20))).ok();
            }
            say(json!({ "state": "connected" }));
            loop {
                match socket.read() {
                    Ok(Message::Text(text)) => say(json!({ "got": "message", "args": [text.as_str()] })),
                    Ok(Message::Binary(bytes)) => say(json!({ "got": "message", "args": [sum_of(&bytes)] })),
                    Ok(_) => {}
                    Err(tungstenite::Error::Io(error))
                        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                    Err(_) => break,
                }
                while let Ok(message) = sent.try_recv() {
                    socket.send(message).ok();
                }
            }
            say(json!({ "state": "disconnected" }));
        }
        thread::sleep(Duration::from_millis(200));
    });
    for order in orders() {
        let message = match order["size"].as_u64() {
            Some(size) => Message::binary(bytes_of(size as usize)),
            None => Message::text(order["text"].as_str().unwrap_or("").to_owned()),
        };
        to_send.send(message).ok();
    }
}

/// The library reconnects after a stream has ended, but gives up at an error status.
#[tokio::main]
async fn event_source(url: String) {
    tokio::spawn(async move {
        let mut source = EventSource::get(&url);
        while let Some(event) = source.next().await {
            match event {
                Ok(SseEvent::Open) => say(json!({ "state": "connected" })),
                Ok(SseEvent::Message(m)) => say(json!({ "got": m.event, "args": [m.data] })),
                Err(_) => say(json!({ "state": "disconnected" })),
            }
        }
    });
    tokio::task::spawn_blocking(|| orders().for_each(drop)).await.ok();
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args[1].as_str() {
        "socketio" => socket_io(&args[2], &args[3..]),
        "ws" => web_socket(&args[2]),
        _ => event_source(args[2].clone()),
    }
}
