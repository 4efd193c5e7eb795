#!/bin/bash
# Run the compose file and see it do its work; with an engine of its own and stand-in images where none answers.
#
# The engine of its own keeps everything in one folder and is gone at the end, with its chains and its bridge. The images
# and the engine's programs stay in that folder for the next time: CHECK_FOLDER, by default under /var/tmp.
set -euo pipefail
cd "$(dirname "$0")/../../.."
python=.venv/bin/python

# What is run on the engine; with arguments, those: check.sh make demo
[ $# -gt 0 ] || set -- "$python" -m ops.dev.stack.compose.check

if docker info >/dev/null 2>&1; then exec "$@"; fi

[ "$(id -u)" = 0 ] || { echo "no Docker engine answers, and only root can start one" >&2; exit 1; }
folder=${CHECK_FOLDER:-/var/tmp/money-flow-engine}
run=$folder/run
mkdir -p "$folder/bin" "$run"
export DOCKER_HOST=unix://$run/docker.sock PATH=$folder/bin:$PATH

programs() {
    command -v dockerd >/dev/null && command -v debootstrap >/dev/null && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends docker.io iptables debootstrap >/dev/null
}

compose() {
    docker compose version >/dev/null 2>&1 || [ -x "$folder/bin/docker-compose" ] && return
    echo "building Compose from its Go module, for some minutes …"
    mkdir -p "$folder/compose"
    (cd "$folder/compose" && { [ -e go.mod ] || go mod init check; } && go get -tool github.com/docker/compose/v2/cmd@v2.40.3 &&
        go build -mod=mod -buildvcs=false -o "$folder/bin/docker-compose" github.com/docker/compose/v2/cmd) >"$folder/compose.log" 2>&1 ||
        { tail "$folder/compose.log" >&2; exit 1; }
}

# What was there before the engine stays: only the chains that it makes are taken away, and only when it made them.
had_chains=$(iptables -S 2>/dev/null | grep -c '^-N DOCKER' || true)

stop_engine() {
    [ -e "$run/docker.pid" ] && kill "$(cat "$run/docker.pid")" 2>/dev/null
    for _ in $(seq 100); do [ -e "$run/docker.pid" ] && sleep 0.2; done
    umount "$run/exec/netns/default" 2>/dev/null
    [ "$had_chains" = 0 ] || return
    # The stack's own bridge is there still when what was run left the stack up.
    for link in $(ip -o link | sed -n 's/^[0-9]*: \(docker0\|br-[0-9a-f]\{12\}\):.*/\1/p'); do ip link delete "$link" 2>/dev/null; done
    for table in filter nat; do
        iptables -t "$table" -S | sed -n 's/^-A \(PREROUTING\|OUTPUT\|FORWARD\|POSTROUTING\) \(.*\(DOCKER\|docker0\|br-[0-9a-f]\{12\}\|172\.17\.0\.0\).*\)/-D \1 \2/p' |
            while read -r rule; do eval "iptables -t $table $rule"; done
        for chain in $(iptables -t "$table" -S | sed -n 's/^-N \(DOCKER.*\)/\1/p'); do iptables -t "$table" -F "$chain"; done
        for chain in $(iptables -t "$table" -S | sed -n 's/^-N \(DOCKER.*\)/\1/p'); do iptables -t "$table" -X "$chain"; done
    done
}

programs
compose
forward=$(iptables -S FORWARD | sed -n 's/^-P FORWARD //p')
dockerd --data-root "$folder/data" --exec-root "$run/exec" -H "$DOCKER_HOST" --pidfile "$run/docker.pid" >"$folder/dockerd.log" 2>&1 &
trap 'set +e; stop_engine; iptables -P FORWARD "$forward"' EXIT
for _ in $(seq 150); do
    if docker info >/dev/null 2>&1; then break; fi
    sleep 0.2
done

ops/dev/standins/make-images.sh "$folder/standins" >"$folder/images.log" 2>&1 || { tail "$folder/images.log" >&2; exit 1; }
"$@"
