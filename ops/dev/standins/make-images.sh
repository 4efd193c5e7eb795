#!/bin/bash
# Build stand-in images from Debian's packages, under the names of the images that the compose file pulls.
#
# For machines that reach package registries but no image registry: the compose file and the Dockerfiles then run
# unchanged. The servers have Debian's versions, so this checks the wiring, not the versions. Needs root, an engine
# without images, debootstrap, Go (for Mailpit), and the checkout's .venv (for Kafka's jars).
# Usage: make-images.sh [SCRATCH_FOLDER]
set -euo pipefail
cd "$(dirname "$0")"
compose=../../../docker-compose.yml
scratch=${1:-$(mktemp -d /var/tmp/money-flow-standins.XXXXXX)}
mkdir -p "$scratch"
export DOCKER_BUILDKIT=0

image_of() { sed -n 's/^FROM \([^ ]*\).*/\1/p' "../../docker/$1/Dockerfile" | head -n 1; }
there() { docker image inspect "$1" >/dev/null 2>&1; }

# This machine's own mirror and certificates.
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources | head -n 1)
: "${mirror:=$(awk '$1 == "deb" { print $2; exit }' /etc/apt/sources.list)}"
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

base() {
    there money-flow-standin:base && return
    local root=$scratch/rootfs
    [ -e "$root/etc/debian_version" ] || debootstrap --variant=minbase --include=ca-certificates "$release" "$root" "$mirror"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    if [ -e /etc/apt/sources.list.d/debian.sources ]; then
        cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/"
        : >"$root/etc/apt/sources.list"
    fi
    tar -C "$root" -c . | docker import --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt LANG=C.UTF-8' - money-flow-standin:base
}

build() { # FOLDER IMAGE [BUILD CONTEXT]
    there "$2" || docker build --tag "$2" --file "$1/Dockerfile" "${3:-$1}"
}

mailpit() {
    local image=$1 version=${1##*:} source=$scratch/mailpit
    there "$image" && return
    mkdir -p "$source"
    if [ ! -x "$source/mailpit" ]; then
        (cd "$source" && { [ -e go.mod ] || go mod init standin; } && go get "github.com/axllent/mailpit@$version" &&
            CGO_ENABLED=0 go build -mod=mod -buildvcs=false -p 1 -o mailpit github.com/axllent/mailpit)
    fi
    build mailpit "$image" "$source"
}

kafka() {
    local jars=${XDG_CACHE_HOME:-$HOME/.cache}/money-flow/kafka-${1##*:}
    there "$1" && return
    [ -d "$jars" ] || (cd ../../.. && .venv/bin/python -c 'from rich.console import Console; from ops.dev.stack import packages; packages.ensure(Console())')
    rm -rf "$scratch/kafka" && mkdir -p "$scratch/kafka"
    cp -r "$jars" "$scratch/kafka/libs"
    cp kafka/run.sh "$scratch/kafka/"
    build kafka "$1" "$scratch/kafka"
}

base
build python "$(image_of app)"
build postgres "$(image_of postgres)"
build redis "$(image_of redis)"
build rabbitmq "$(image_of rabbitmq)"
build nginx "$(image_of nginx)"
kafka "$(image_of kafka)"
mailpit "$(sed -n 's/^ *image: \(axllent.*\)/\1/p' "$compose")"
docker image ls
