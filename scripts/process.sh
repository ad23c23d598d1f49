# Sourced by the scripts that run a server for tests: how Debian has it, and what they all do with its process, whose id
# is in DIR/pid. They define BUILD, `skip WHY`, `install_server`, `start DIR PORT` and `clean DIR`, and end with `run_verb "$@"`.

install_package() {
    command -v apt-get >/dev/null 2>&1 || skip "no apt-get here to install it"
    [ "$(id -u)" = 0 ] || skip "not installed, and only root can install it"
    mkdir -p "$BUILD"
    log=$BUILD/$1-install.log
    # apt would start the server as a system service; a policy of 101 forbids that for as long as we install.
    policy=/usr/sbin/policy-rc.d
    own_policy=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        own_policy=yes
    fi
    ok=yes
    export DEBIAN_FRONTEND=noninteractive
    {
        apt-get update -q -o DPkg::Lock::Timeout=300 &&
            apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$1"
    } >"$log" 2>&1 || ok=no
    [ "$own_policy" = yes ] && rm -f "$policy"
    [ "$ok" = yes ] || skip "installation failed, see $log"
}

running() { [ -s "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null; }

wait_gone() {
    # After kill -9 the dying process may still hold the port, so its successor has to wait for the process itself.
    n=0
    while kill -0 "$1" 2>/dev/null; do
        n=$((n + 1))
        [ "$n" -gt 600 ] && { echo "process $1 does not end" >&2; exit 1; }
        sleep 0.1
    done
}

# Waits until the command that follows NAME, DIR and SECONDS succeeds.
wait_ready() {
    name=$1 dir=$2 seconds=$3
    shift 3
    n=0
    until "$@"; do
        n=$((n + 1))
        if [ "$n" -gt $((seconds * 5)) ]; then
            echo "$name in $dir is not ready after $seconds s; the end of its log:" >&2
            tail -n 40 "$dir/server.log" >&2
            exit 1
        fi
        sleep 0.2
    done
}

stop() {
    running "$1" || return 0
    pid=$(cat "$1/pid")
    kill -TERM "$pid"
    wait_gone "$pid"
}

kill9() {
    running "$1" || return 0
    pid=$(cat "$1/pid")
    kill -KILL "$pid"
    wait_gone "$pid"
}

guard() {
    (
        while kill -0 "$2" 2>/dev/null; do sleep 1; done
        clean "$1"
    ) >/dev/null 2>&1 </dev/null &
}

# Does what the script was called for; else it shows the beginning of the script, which says how.
run_verb() {
    case "${1:-}" in
    install) install_server ;;
    start) start "$2" "$3" ;;
    stop) stop "$2" ;;
    kill9) kill9 "$2" ;;
    clean) clean "$2" ;;
    status) running "$2" ;;
    guard) guard "$2" "$3" ;;
    *)
        sed -n '2,14s/^# \{0,1\}//p' "$0"
        exit 64
        ;;
    esac
}
