//! Reading stored values without decoding them.

use super::{DEPTH_MAX, Error};

/// What a value begins with. Containers are followed by their content.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Header<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// Only values above `i64::MAX`.
    UInt(u64),
    Float(f64),
    Text(&'a str),
    Array(u32),
    Map(u32),
}

/// A place in stored bytes.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let chunk = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<N>());
        let chunk = *chunk.ok_or(Error::Truncated(self.bytes.len()))?;
        self.at += N;
        Ok(chunk)
    }

    fn slice(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let end = self
            .at
            .checked_add(len)
            .ok_or(Error::Truncated(self.bytes.len()))?;
        let slice = self
            .bytes
            .get(self.at..end)
            .ok_or(Error::Truncated(self.bytes.len()))?;
        self.at = end;
        Ok(slice)
    }

    /// Reads the next byte and what belongs to it, as lengths only: texts are not looked at.
    #[inline]
    fn shallow(&mut self) -> Result<Shallow, Error> {
        let start = self.at;
        let [tag] = self.take()?;
        Ok(match tag {
            0x00..=0x7f => Shallow::Int(i64::from(tag)),
            0x80..=0x8f => Shallow::Map(u32::from(tag & 0x0f)),
            0x90..=0x9f => Shallow::Array(u32::from(tag & 0x0f)),
            0xa0..=0xbf => Shallow::Text(usize::from(tag & 0x1f)),
            0xc0 => Shallow::Nil,
            0xc2 => Shallow::Bool(false),
            0xc3 => Shallow::Bool(true),
            0xcb => Shallow::Float(f64::from_be_bytes(self.take()?)),
            0xcc => Shallow::Int(self.take::<1>().map(|[b]| i64::from(b))?),
            0xcd => Shallow::Int(u16::from_be_bytes(self.take()?).into()),
            0xce => Shallow::Int(u32::from_be_bytes(self.take()?).into()),
            0xcf => {
                let value = u64::from_be_bytes(self.take()?);
                i64::try_from(value).map_or(Shallow::UInt(value), Shallow::Int)
            }
            0xd0 => Shallow::Int(i8::from_be_bytes(self.take()?).into()),
            0xd1 => Shallow::Int(i16::from_be_bytes(self.take()?).into()),
            0xd2 => Shallow::Int(i32::from_be_bytes(self.take()?).into()),
            0xd3 => Shallow::Int(i64::from_be_bytes(self.take()?)),
            0xd9 => Shallow::Text(self.take::<1>().map(|[b]| usize::from(b))?),
            0xda => Shallow::Text(u16::from_be_bytes(self.take()?).into()),
            0xdb => Shallow::Text(u32::from_be_bytes(self.take()?) as usize),
            0xdc => Shallow::Array(u16::from_be_bytes(self.take()?).into()),
            0xdd => Shallow::Array(u32::from_be_bytes(self.take()?)),
            0xde => Shallow::Map(u16::from_be_bytes(self.take()?).into()),
            0xdf => Shallow::Map(u32::from_be_bytes(self.take()?)),
            0xe0..=0xff => Shallow::Int(i64::from(tag as i8)),
            _ => return Err(Error::UnknownType(start, tag)),
        })
    }

    /// Reads what a value begins with.
    #[inline]
    pub(crate) fn header(&mut self) -> Result<Header<'a>, Error> {
        let start = self.at;
        Ok(match self.shallow()? {
            Shallow::Nil => Header::Nil,
            Shallow::Bool(value) => Header::Bool(value),
            Shallow::Int(value) => Header::Int(value),
            Shallow::UInt(value) => Header::UInt(value),
            Shallow::Float(value) if value.is_finite() => Header::Float(value),
            Shallow::Float(_) => return Err(Error::NotFinite(start)),
            Shallow::Text(len) => {
                let bytes = self.slice(len)?;
                Header::Text(std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8(start))?)
            }
            Shallow::Array(len) => Header::Array(len),
            Shallow::Map(len) => Header::Map(len),
        })
    }

    /// Reads a map's key without checking that it is UTF-8: comparing bytes needs no check.
    #[inline]
    pub(crate) fn key_bytes(&mut self) -> Result<&'a [u8], Error> {
        let start = self.at;
        if let Some(tag @ 0xa0..=0xbf) = self.bytes.get(start) {
            self.at += 1;
            return self.slice(usize::from(tag & 0x1f));
        }
        match self.shallow()? {
            Shallow::Text(len) => self.slice(len),
            _ => Err(Error::KeyNotText(start)),
        }
    }

    fn key(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        std::str::from_utf8(self.key_bytes()?).map_err(|_| Error::NotUtf8(start))
    }

    /// Passes over a whole value. A counter takes the place of recursion.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        let mut left = 1u64;
        while left > 0 {
            left -= 1;
            // What has its whole length in the first byte is passed over without reading it.
            let Some(tag) = self.bytes.get(self.at) else {
                return Err(Error::Truncated(self.at));
            };
            let len = match tag {
                0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => 1,
                0xa0..=0xbf => 1 + usize::from(tag & 0x1f),
                0xcb | 0xcf | 0xd3 => 9,
                0xce | 0xd2 => 5,
                0xcd | 0xd1 => 3,
                0xcc | 0xd0 => 2,
                _ => 0,
            };
            if len > 0 {
                self.at += len; // Past the end is met by whoever reads on.
                continue;
            }
            match self.shallow()? {
                Shallow::Text(len) => {
                    self.slice(len)?;
                }
                Shallow::Array(len) => left = left.saturating_add(len.into()),
                Shallow::Map(len) => left = left.saturating_add(2 * u64::from(len)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The bytes of a whole value.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Error> {
        let start = self.at;
        self.skip()?;
        self.bytes
            .get(start..self.at)
            .ok_or(Error::Truncated(self.at))
    }

    /// For how many elements to make room, whatever a header claims: each takes a byte, and headers inside each other may
    /// claim the same bytes, so only a little is believed.
    pub(crate) fn capacity(&self, claimed: u32) -> usize {
        const BELIEVED_MAX: usize = 1_024;
        let left = self.bytes.len().saturating_sub(self.at);
        (claimed as usize).min(left).min(BELIEVED_MAX)
    }
}

enum Shallow {
    Nil,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(usize),
    Array(u32),
    Map(u32),
}

/// Checks that the bytes are exactly one stored value.
pub fn validate(bytes: &[u8]) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes);
    let mut open: Vec<Open<'_>> = Vec::new();
    loop {
        let mut at = cursor.position();
        if let Some(Open {
            keys: Some(keys), ..
        }) = open.last_mut()
        {
            keys.push(cursor.key()?);
            at = cursor.position();
        }
        let (left, keys) = match cursor.header()? {
            Header::Array(len) => (len, None),
            Header::Map(len) => (len, Some(Vec::with_capacity(cursor.capacity(len)))),
            _ => (0, None),
        };
        if left > 0 {
            if open.len() == DEPTH_MAX {
                return Err(Error::TooDeep(at));
            }
            open.push(Open { left, keys });
            continue;
        }
        while let Some(last) = open.last_mut() {
            last.left -= 1;
            if last.left > 0 {
                break;
            }
            if last.keys.as_mut().is_some_and(has_repeat) {
                return Err(Error::DuplicateKey(cursor.position()));
            }
            open.pop();
        }
        if open.is_empty() {
            break;
        }
    }
    if cursor.is_at_end() {
        Ok(())
    } else {
        Err(Error::Trailing(cursor.position()))
    }
}

/// A container whose end has not come yet.
struct Open<'a> {
    left: u32,
    /// The keys so far, in a map.
    keys: Option<Vec<&'a str>>,
}

fn has_repeat(keys: &mut Vec<&str>) -> bool {
    keys.sort_unstable();
    keys.iter().zip(keys.iter().skip(1)).any(|(a, b)| a == b)
}

/// Checks that the bytes are exactly one stored map: a document of variables.
pub fn validate_map(bytes: &[u8]) -> Result<(), Error> {
    validate(bytes)?;
    if kind(bytes) == Some(Kind::Map) {
        Ok(())
    } else {
        Err(Error::NotMap)
    }
}

/// What a stored value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Nil,
    /// A truth value.
    Bool,
    /// A whole number.
    Integer,
    /// A binary floating point number.
    Float,
    /// A text.
    Text,
    /// Values in order.
    Array,
    /// Named values in order.
    Map,
}

/// What the value is.
pub fn kind(bytes: &[u8]) -> Option<Kind> {
    Some(match Cursor::new(bytes).shallow().ok()? {
        Shallow::Nil => Kind::Nil,
        Shallow::Bool(_) => Kind::Bool,
        Shallow::Int(_) | Shallow::UInt(_) => Kind::Integer,
        Shallow::Float(_) => Kind::Float,
        Shallow::Text(_) => Kind::Text,
        Shallow::Array(_) => Kind::Array,
        Shallow::Map(_) => Kind::Map,
    })
}

/// Is it nil?
pub fn is_nil(bytes: &[u8]) -> bool {
    kind(bytes) == Some(Kind::Nil)
}

/// The truth value, if it is one.
pub fn as_bool(bytes: &[u8]) -> Option<bool> {
    if let Ok(Header::Bool(value)) = Cursor::new(bytes).header() {
        Some(value)
    } else {
        None
    }
}

/// The whole number, if it is one and fits.
pub fn as_i64(bytes: &[u8]) -> Option<i64> {
    if let Ok(Header::Int(value)) = Cursor::new(bytes).header() {
        Some(value)
    } else {
        None
    }
}

/// The number, whole or not, as the nearest double.
pub fn as_f64(bytes: &[u8]) -> Option<f64> {
    match Cursor::new(bytes).header().ok()? {
        Header::Int(value) => Some(value as f64),
        Header::UInt(value) => Some(value as f64),
        Header::Float(value) => Some(value),
        _ => None,
    }
}

/// The text, if it is one.
pub fn as_str(bytes: &[u8]) -> Option<&str> {
    if let Ok(Header::Text(value)) = Cursor::new(bytes).header() {
        Some(value)
    } else {
        None
    }
}

/// How many elements the array has, if it is one.
pub fn array_len(bytes: &[u8]) -> Option<u32> {
    if let Ok(Header::Array(len)) = Cursor::new(bytes).header() {
        Some(len)
    } else {
        None
    }
}

/// The value of that name in a map.
#[inline]
pub fn get<'a>(map: &'a [u8], name: &str) -> Option<&'a [u8]> {
    find(map, name).flatten()
}

/// The value of that name; the outer `None` says that this is no map.
pub(crate) fn find<'a>(map: &'a [u8], name: &str) -> Option<Option<&'a [u8]>> {
    let mut cursor = Cursor::new(map);
    let len = match map.first() {
        Some(tag @ 0x80..=0x8f) => {
            cursor.at = 1;
            u32::from(tag & 0x0f)
        }
        _ => match cursor.header() {
            Ok(Header::Map(len)) => len,
            _ => return None,
        },
    };
    for _ in 0..len {
        let Ok(key) = cursor.key_bytes() else { break };
        if key == name.as_bytes() {
            return Some(cursor.value().ok());
        }
        if cursor.skip().is_err() {
            break;
        }
    }
    Some(None)
}

/// The entries of a map, in order; none if it is not a map.
pub fn entries(map: &[u8]) -> Entries<'_> {
    let mut cursor = Cursor::new(map);
    let left = if let Ok(Header::Map(len)) = cursor.header() {
        len
    } else {
        0
    };
    Entries { cursor, left }
}

/// Names and stored values of a map.
#[derive(Clone)]
pub struct Entries<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.cursor.key().ok()?, self.cursor.value().ok()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}

/// The elements of an array, in order; none if it is not an array.
pub fn items(array: &[u8]) -> Items<'_> {
    let mut cursor = Cursor::new(array);
    let left = if let Ok(Header::Array(len)) = cursor.header() {
        len
    } else {
        0
    };
    Items { cursor, left }
}

/// Stored values of an array.
#[derive(Clone)]
pub struct Items<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.cursor.value().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}
