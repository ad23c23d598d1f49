#!/bin/sh
# zeebe-rs, the Rust client that `make test` drives, generates its code with a system protoc. Kapelle itself needs none.
set -eu
command -v protoc >/dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo "protoc is missing and this is not root: install protobuf-compiler" >&2; exit 77; }
apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends protobuf-compiler >/dev/null
