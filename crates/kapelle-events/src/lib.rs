//! CloudEvents: type, codecs, filters.
