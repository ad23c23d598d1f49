#!/bin/sh
# A private Mosquitto for tests: own directory, own loopback ports, ended by process id.
#
#   scripts/mosquitto.sh install          make the broker available (Debian package; needs root once)
#   scripts/mosquitto.sh start  DIR PORT  start in DIR and wait until it is ready; uses PORT and PORT+1
#   scripts/mosquitto.sh stop   DIR       orderly stop of the broker; its data stays
#   scripts/mosquitto.sh kill9  DIR       kill -9 of the broker, returns when the process is gone
#   scripts/mosquitto.sh clean  DIR       stop, remove DIR
#   scripts/mosquitto.sh status DIR       exit 0 while it runs
#   scripts/mosquitto.sh guard  DIR PID   return at once; when the process PID ends, however it ends, clean DIR
#
# It is at mqtt://guest:guest@127.0.0.1:PORT; the user mute:mute may publish nothing below "secret". `start` on a
# directory that was used before keeps sessions. With DIR/tls/{server,key}.pem, MQTT over TLS is at PORT+1.
# Where the broker cannot be had: exit 77 and one loud line, which callers count as a skip.
set -eu

HERE=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${KAPELLE_BUILD_DIR:-$HERE/build}
SERVER=${KAPELLE_MOSQUITTO:-/usr/sbin/mosquitto}
READY_SECONDS=30
. "$HERE/scripts/process.sh"

skip() {
    echo "SKIPPED: Mosquitto is not available: $*" >&2
    exit 77
}

install_server() {
    [ -x "$SERVER" ] && return 0
    install_package mosquitto
    [ -x "$SERVER" ] || skip "its package has no $SERVER"
}

# CONNECT of MQTT 3.1.1 without a user; that it is refused proves that the broker answers.
ready() {
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$1 && printf '\\x10\\x0e\\0\\4MQTT\\4\\2\\0\\x0a\\0\\2up' >&3 && head -c 1 <&3 | od -An -tx1 | grep -q 20" 2>/dev/null
}

write_config() {
    # It drops what waits for a client beyond `max_queued_messages`, and stores a snapshot of all after each change.
    cat >"$1/mosquitto.conf" <<CONF
pid_file $1/pid
persistence true
persistence_location $1/
autosave_interval 1
autosave_on_changes true
max_queued_messages 0
max_packet_size 1000000
allow_anonymous false
password_file $1/passwords
acl_file $1/acl
listener $2 127.0.0.1
CONF
    # As root it would become a user who may not write here.
    [ "$(id -u)" = 0 ] && echo "user root" >>"$1/mosquitto.conf"
    if [ -s "$1/tls/server.pem" ]; then
        cat >>"$1/mosquitto.conf" <<CONF
listener $(($2 + 1)) 127.0.0.1
certfile $1/tls/server.pem
keyfile $1/tls/key.pem
CONF
    fi
    mosquitto_passwd -b -c "$1/passwords" guest guest
    mosquitto_passwd -b "$1/passwords" mute mute
    cat >"$1/acl" <<ACL
user guest
topic readwrite #
user mute
topic readwrite #
topic deny secret/#
ACL
}

start() {
    dir=$1 port=$2
    install_server
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    running "$dir" && { echo "already running in $dir" >&2; exit 1; }
    rm -f "$dir/pid"
    write_config "$dir" "$port"
    setsid "$SERVER" -c "$dir/mosquitto.conf" >>"$dir/server.log" 2>&1 </dev/null &
    wait_ready Mosquitto "$dir" "$READY_SECONDS" ready "$port"
}

clean() {
    stop "$1"
    rm -rf "$1"
}

run_verb "$@"
