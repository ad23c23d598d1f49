//! AMQP 0-9-1 byte by byte, for messages that no library would write.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// Publishes a message to the queue whose content type is any bytes.
pub(crate) fn publish(address: (&str, u16), queue: &str, content_type: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    read_frame(&mut stream); // connection.start
    let login = [
        &[0, 10, 0, 11][..],
        &long(b""),
        &short(b"PLAIN"),
        &long(b"\0guest\0guest"),
        &short(b"en_US"),
    ]
    .concat();
    send(&mut stream, METHOD, 0, &login);
    let limits = read_frame(&mut stream); // connection.tune
    send(
        &mut stream,
        METHOD,
        0,
        &[&[0, 10, 0, 31][..], &limits[4..]].concat(),
    );
    send(
        &mut stream,
        METHOD,
        0,
        &[&[0, 10, 0, 40][..], &short(b"/"), &[0, 0]].concat(),
    );
    read_frame(&mut stream); // connection.open-ok
    send(&mut stream, METHOD, 1, &[0, 20, 0, 10, 0]);
    read_frame(&mut stream); // channel.open-ok
    send(
        &mut stream,
        METHOD,
        1,
        &[
            &[0, 60, 0, 40, 0, 0][..],
            &short(b""),
            &short(queue.as_bytes()),
            &[0],
        ]
        .concat(),
    );
    let has_content_type = 0x8000u16.to_be_bytes();
    let header = [
        &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..],
        &has_content_type,
        &short(content_type),
    ]
    .concat();
    send(&mut stream, HEADER, 1, &header);
    send(&mut stream, BODY, 1, b"x");
    // channel.close and its answer: what was sent before has been handled then.
    send(
        &mut stream,
        METHOD,
        1,
        &[&[0, 20, 0, 40, 0, 200][..], &short(b""), &[0, 0, 0, 0]].concat(),
    );
    assert_eq!(read_frame(&mut stream), [0, 20, 0, 41]);
}

fn send(stream: &mut TcpStream, kind: u8, channel: u16, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    stream
        .write_all(
            &[
                &[kind][..],
                &channel.to_be_bytes(),
                &length,
                payload,
                &[0xce],
            ]
            .concat(),
        )
        .unwrap();
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).unwrap();
    let [_, _, _, length @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes(length) as usize + 1];
    stream.read_exact(&mut payload).unwrap();
    assert_eq!(payload.pop(), Some(0xce), "end of frame");
    payload
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()][..], text].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [
        &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..],
        bytes,
    ]
    .concat()
}
