//! Brokers, each behind a feature.
