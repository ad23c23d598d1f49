#!/bin/sh
# A private RabbitMQ for tests: own directory, own loopback ports, ended by process id.
#
#   scripts/rabbitmq.sh install          make the server available (Debian package; needs root once)
#   scripts/rabbitmq.sh start  DIR PORT  start in DIR and wait until it is ready; uses PORT … PORT+3
#   scripts/rabbitmq.sh stop   DIR       orderly stop of the broker; its data stays
#   scripts/rabbitmq.sh kill9  DIR       kill -9 of the broker, returns when the process is gone
#   scripts/rabbitmq.sh clean  DIR       stop, end its port mapper, remove DIR
#   scripts/rabbitmq.sh status DIR       exit 0 while it runs
#   scripts/rabbitmq.sh guard  DIR PID   return at once; when the process PID ends, however it ends, clean DIR
#
# AMQP is at amqp://guest:guest@127.0.0.1:PORT/%2f. `start` on a directory that was used before keeps queues and
# messages. With DIR/tls/{ca,server,key}.pem, AMQP over TLS is at PORT+3. Where the server cannot be had: exit 77 and one loud line, which callers count as a skip.
set -eu

HERE=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${KAPELLE_BUILD_DIR:-$HERE/build}
# The wrapper in sbin changes user and directory; this one runs as whoever calls it.
SERVER=${KAPELLE_RABBITMQ_SERVER:-/usr/lib/rabbitmq/bin/rabbitmq-server}
# First start on a loaded two-core machine was seen to take 21 s.
READY_SECONDS=90
. "$HERE/scripts/process.sh"

skip() {
    echo "SKIPPED: RabbitMQ is not available: $*" >&2
    exit 77
}

install_server() {
    [ -x "$SERVER" ] && return 0
    install_package rabbitmq-server
    [ -x "$SERVER" ] || skip "its package has no $SERVER"
}

# The broker opens its AMQP port last, so the port is the readiness check; a real handshake proves that it answers.
ready() {
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$1 && printf 'AMQP\\0\\0\\11\\1' >&3 && head -c 1 <&3 | od -An -tx1 | grep -q 01" 2>/dev/null
}

write_config() {
    cat >"$1/rabbitmq.conf" <<CONF
listeners.tcp.default = 127.0.0.1:$2
disk_free_limit.absolute = 50MB
log.console = true
log.file = false
CONF
    tls=$1/tls
    if [ -s "$tls/server.pem" ]; then
        cat >>"$1/rabbitmq.conf" <<CONF
listeners.ssl.default = 127.0.0.1:$(($2 + 3))
ssl_options.cacertfile = $tls/ca.pem
ssl_options.certfile = $tls/server.pem
ssl_options.keyfile = $tls/key.pem
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
CONF
    fi
    echo '[].' >"$1/enabled_plugins"
    echo "$2" >"$1/port"
}

start() {
    dir=$1 port=$2
    install_server
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    running "$dir" && { echo "already running in $dir" >&2; exit 1; }
    rm -f "$dir/pid"
    write_config "$dir" "$port"
    env HOME="$dir" RABBITMQ_NODENAME="kapelle$port@localhost" RABBITMQ_DIST_PORT=$((port + 1)) \
        ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$((port + 2)) \
        RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" RABBITMQ_CONF_ENV_FILE=/dev/null \
        RABBITMQ_ENABLED_PLUGINS_FILE="$dir/enabled_plugins" \
        ERL_CRASH_DUMP="$dir/erl_crash.dump" RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/log" RABBITMQ_LOGS=- RABBITMQ_PID_FILE="$dir/pid" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}" \
        setsid "$SERVER" >>"$dir/server.log" 2>&1 </dev/null &
    wait_ready RabbitMQ "$dir" "$READY_SECONDS" ready "$port"
}

clean() {
    stop "$1"
    # epmd outlives the broker as a daemon; its port is ours alone, so ending it hurts nobody else.
    [ -s "$1/port" ] && ERL_EPMD_PORT=$(($(cat "$1/port") + 2)) epmd -kill >/dev/null 2>&1 || true
    rm -rf "$1"
}

run_verb "$@"
