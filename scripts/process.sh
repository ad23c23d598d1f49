# Sourced by the scripts that run a server for tests: what they all do with its process, whose id is in DIR/pid.
# They define `clean DIR`.

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
            echo "$name in $dir is not ready after $seconds s, see $dir/server.log" >&2
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
