#!/bin/sh
# Have a Docker daemon answer, where none does and no service manager would start one: on a bare Debian, as root.
#
#     docker/start_daemon.sh        exit 0: a daemon answers; exit 1: none can be had here, one line says why
#
# Installs what is missing (docker.io, iptables, debootstrap) from the machine's own apt source, about 10 s. The daemon
# keeps running; its log is /var/log/hotlap-dockerd.log.
set -eu

log=/var/log/hotlap-dockerd.log

refuse() {
    echo "start_daemon: $1" >&2
    exit 1
}

# Debian's client first: another one on the PATH may be the one that does not work.
answers() {
    /usr/bin/docker info >/dev/null 2>&1 || docker info >/dev/null 2>&1
}

if answers; then
    echo "start_daemon: a Docker daemon answers already"
    exit 0
fi
[ "$(id -u)" = 0 ] || refuse "no Docker daemon answers, and only root can start one"
[ -z "${DOCKER_HOST:-}" ] || refuse "DOCKER_HOST names a daemon that does not answer"
command -v apt-get >/dev/null || refuse "no Docker daemon answers, and this is no Debian; install Docker by hand"

missing=
command -v dockerd >/dev/null || missing="docker.io"
command -v iptables >/dev/null || missing="$missing iptables"
command -v debootstrap >/dev/null || missing="$missing debootstrap"
if [ -n "$missing" ]; then
    echo "start_daemon: installing $missing"
    # shellcheck disable=SC2086  # several words are meant
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 ||
        refuse "apt-get could not install $missing; its output is $log"
fi

# A package's own start script may have been quicker.
answers || nohup setsid dockerd >>"$log" 2>&1 </dev/null &

waited=0
until answers; do
    [ "$waited" -lt 60 ] || refuse "dockerd does not answer after 60 s; its log is $log"
    sleep 1
    waited=$((waited + 1))
done
echo "start_daemon: a Docker daemon answers"
