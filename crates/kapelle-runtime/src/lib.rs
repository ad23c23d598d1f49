//! Engine and storage as one durable partition: the synchronous single writer.
