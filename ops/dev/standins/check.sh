#!/bin/bash
# Run the compose file and check that it works; where no engine answers, on a temporary engine with stand-in images.
#
# The temporary engine keeps its files in one folder, and removes its chains and its bridge at the end. The images and
# the engine's programs stay in that folder for the next run: CHECK_FOLDER, by default under /var/tmp.
set -euo pipefail
cd "$(dirname "$0")/../../.."
python=.venv/bin/python

# The command that runs on the engine; the arguments replace it: check.sh make demo
[ $# -gt 0 ] || set -- "$python" -m ops.dev.stack.compose.check

if docker info >/dev/null 2>&1; then exec "$@"; fi

[ "$(id -u)" = 0 ] || { echo "no Docker engine answers, and only root can start one; repeat as root" >&2; exit 1; }
folder=${CHECK_FOLDER:-/var/tmp/money-flow-engine}
run=$folder/run
# Programs in it run as root, so only root may have made it.
mkdir -m 700 "$folder" 2>/dev/null || true
if [ -L "$folder" ] || [ "$(stat -c %u "$folder")" != 0 ]; then
    echo "$folder is a link or belongs to another user, and its programs would run as root; remove it and repeat" >&2
    exit 1
fi
chmod 700 "$folder"
mkdir -p "$folder/bin" "$run"
export DOCKER_HOST=unix://$run/docker.sock PATH=$folder/bin:$PATH

programs() {
    command -v dockerd >/dev/null && command -v debootstrap >/dev/null && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends docker.io iptables debootstrap >/dev/null
}

compose() {
    docker compose version >/dev/null 2>&1 || [ -x "$folder/bin/docker-compose" ] && return
    echo "building Compose from its Go module, which takes minutes …"
    mkdir -p "$folder/compose"
    (cd "$folder/compose" && { [ -e go.mod ] || go mod init check; } && go get -tool github.com/docker/compose/v2/cmd@v2.40.3 &&
        go build -mod=mod -buildvcs=false -o "$folder/bin/docker-compose" github.com/docker/compose/v2/cmd) >"$folder/compose.log" 2>&1 ||
        { tail "$folder/compose.log" >&2; exit 1; }
}

# Only the chains that this engine creates are removed; those of an earlier engine stay.
had_chains=$(iptables -S 2>/dev/null | grep -c '^-N DOCKER' || true)

stop_engine() {
    [ -e "$run/docker.pid" ] && kill "$(cat "$run/docker.pid")" 2>/dev/null
    for _ in $(seq 100); do [ -e "$run/docker.pid" ] && sleep 0.2; done
    umount "$run/exec/netns/default" 2>/dev/null
    [ "$had_chains" = 0 ] || return
    # The stack's own bridge still exists when the command left the stack running.
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
