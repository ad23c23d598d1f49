#!/bin/sh
# A private NATS server with JetStream for tests: own directory, own loopback ports, ended by process id.
#
#   scripts/nats.sh install          make the server available (built by Go from its module proxy)
#   scripts/nats.sh start  DIR PORT  start in DIR and wait until it is ready; uses PORT and PORT+1
#   scripts/nats.sh stop   DIR       orderly stop of the server; its data stays
#   scripts/nats.sh kill9  DIR       kill -9 of the server, returns when the process is gone
#   scripts/nats.sh clean  DIR       stop, remove DIR
#   scripts/nats.sh status DIR       exit 0 while it runs
#   scripts/nats.sh guard  DIR PID   return at once; when the process PID ends, however it ends, clean DIR
#
# It is at nats://guest:guest@127.0.0.1:PORT; the user mute:mute may publish nothing below "secret". `start` on a
# directory that was used before keeps streams. With DIR/tls/{server,key}.pem, tls:// on the same port is answered too.
# Where the server cannot be had: exit 77 and one loud line, which callers count as a skip.
set -eu

HERE=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${KAPELLE_BUILD_DIR:-$HERE/build}
VERSION=2.15.2
SERVER=${KAPELLE_NATS_SERVER:-$BUILD/nats-$VERSION/nats-server}
READY_SECONDS=60
. "$HERE/scripts/process.sh"

skip() {
    echo "SKIPPED: NATS is not available: $*" >&2
    exit 77
}

install_server() {
    [ -x "$SERVER" ] && return 0
    command -v go >/dev/null 2>&1 || skip "no Go here to build it, and $SERVER does not exist"
    mkdir -p "$BUILD/nats-$VERSION"
    log=$BUILD/nats-install.log
    GOBIN=$BUILD/nats-$VERSION GOFLAGS=-mod=mod nice go install "github.com/nats-io/nats-server/v2@v$VERSION" >"$log" 2>&1 ||
        skip "it could not be built, see $log"
}

ready() {
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$1 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '\"ok\"' <&3" 2>/dev/null
}

write_config() {
    # Confirmed is synced: without that, the server syncs every two minutes.
    cat >"$1/nats.conf" <<CONF
server_name: kapelle$2
listen: 127.0.0.1:$2
http: 127.0.0.1:$(($2 + 1))
pid_file: "$1/pid"
jetstream { store_dir: "$1/data", max_mem: 64MB, max_file: 1GB, sync_interval: always }
authorization {
    users: [
        { user: guest, password: guest }
        { user: mute, password: mute, permissions: { publish: { deny: "secret.>" } } }
    ]
}
CONF
    if [ -s "$1/tls/server.pem" ]; then
        cat >>"$1/nats.conf" <<CONF
tls { cert_file: "$1/tls/server.pem", key_file: "$1/tls/key.pem" }
allow_non_tls: true
CONF
    fi
}

start() {
    dir=$1 port=$2
    install_server
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    running "$dir" && { echo "already running in $dir" >&2; exit 1; }
    rm -f "$dir/pid"
    write_config "$dir" "$port"
    setsid "$SERVER" -c "$dir/nats.conf" >>"$dir/server.log" 2>&1 </dev/null &
    wait_ready NATS "$dir" "$READY_SECONDS" ready $((port + 1))
}

clean() {
    stop "$1"
    rm -rf "$1"
}

run_verb "$@"
