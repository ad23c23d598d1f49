//! Journal, checkpoints, key-value store and recovery; bytes only.
