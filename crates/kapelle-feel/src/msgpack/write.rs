//! Writing stored values, each in its shortest encoding.

/// Writes nil.
pub fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// Writes a truth value.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(0xc2 + u8::from(value));
}

/// Writes a whole number.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        return write_u64(out, value);
    }
    match value {
        -32.. => out.push(value as u8),
        -0x80.. => tagged(out, 0xd0, &(value as i8).to_be_bytes()),
        -0x8000.. => tagged(out, 0xd1, &(value as i16).to_be_bytes()),
        -0x8000_0000.. => tagged(out, 0xd2, &(value as i32).to_be_bytes()),
        _ => tagged(out, 0xd3, &value.to_be_bytes()),
    }
}

/// Writes a whole number.
pub fn write_u64(out: &mut Vec<u8>, value: u64) {
    match value {
        ..=0x7f => out.push(value as u8),
        0x80..=0xff => tagged(out, 0xcc, &(value as u8).to_be_bytes()),
        0x100..=0xffff => tagged(out, 0xcd, &(value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => tagged(out, 0xce, &(value as u32).to_be_bytes()),
        _ => tagged(out, 0xcf, &value.to_be_bytes()),
    }
}

/// Writes a floating point number; what is not finite becomes nil, as JSON has no word for it.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        tagged(out, 0xcb, &value.to_be_bytes());
    } else {
        write_nil(out);
    }
}

/// Writes a text.
pub fn write_str(out: &mut Vec<u8>, value: &str) {
    let len = value.len();
    match len {
        ..=0x1f => out.push(0xa0 | len as u8),
        0x20..=0xff => tagged(out, 0xd9, &(len as u8).to_be_bytes()),
        0x100..=0xffff => tagged(out, 0xda, &(len as u16).to_be_bytes()),
        _ => tagged(out, 0xdb, &size(len).to_be_bytes()),
    }
    out.extend_from_slice(value.as_bytes());
}

/// Writes what an array begins with; `len` values must follow.
pub fn write_array_header(out: &mut Vec<u8>, len: usize) {
    write_header(out, len, 0x90, 0xdc);
}

/// Writes what a map begins with; `len` texts, each with its value, must follow.
pub fn write_map_header(out: &mut Vec<u8>, len: usize) {
    write_header(out, len, 0x80, 0xde);
}

fn write_header(out: &mut Vec<u8>, len: usize, short: u8, long: u8) {
    match len {
        ..=0x0f => out.push(short | len as u8),
        0x10..=0xffff => tagged(out, long, &(len as u16).to_be_bytes()),
        _ => tagged(out, long + 1, &size(len).to_be_bytes()),
    }
}

/// Puts the header of a container in front of its content, which begins at `start`.
pub(crate) fn insert_header(out: &mut Vec<u8>, start: usize, len: usize, map: bool) {
    let mut header = Vec::with_capacity(5);
    if map {
        write_map_header(&mut header, len);
    } else {
        write_array_header(&mut header, len);
    }
    out.splice(start..start, header);
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn size(len: usize) -> u32 {
    u32::try_from(len).expect("invariant: no value of 4 GiB passes the size limits")
}

/// A map of these names and stored values. Names must differ; see [`map_merge`] where they may not.
pub fn map_from<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a [u8]), IntoIter: ExactSizeIterator>,
) -> Vec<u8> {
    let entries = entries.into_iter();
    let mut out = Vec::new();
    write_map_header(&mut out, entries.len());
    for (name, value) in entries {
        write_str(&mut out, name);
        out.extend_from_slice(value);
    }
    out
}

/// A map with the entries of both; a name that both have keeps its place and takes the value of `over`.
pub fn map_merge(base: &[u8], over: &[u8]) -> Vec<u8> {
    let fresh = super::entries(over).filter(|(name, _)| super::get(base, name).is_none());
    let kept =
        super::entries(base).map(|(name, value)| (name, super::get(over, name).unwrap_or(value)));
    let merged: Vec<(&str, &[u8])> = kept.chain(fresh).collect();
    map_from(merged)
}
