#!/bin/sh
# Make the base of hotlap's images where no registry can be reached, out of this machine's own Debian mirror:
#
#     docker/airgapped.sh [NAME [SUITE [MIRROR]]]        default: local/python-base:3.11-bookworm bookworm, apt's own source
#
# Needs root, a Docker daemon that answers and debootstrap. Does nothing where the image is already there. `hotlap` runs
# this by itself when it needs a base and can pull none; docs/air-gapped.md tells the whole way. About 45 s, 110 MB.
set -eu

name=${1:-local/python-base:3.11-bookworm}
suite=${2:-bookworm}

refuse() {
    echo "airgapped: $1" >&2
    exit 1
}

if docker image inspect "$name" >/dev/null 2>&1; then
    echo "airgapped: $name is there already"
    exit 0
fi
[ "$(id -u)" = 0 ] || refuse "debootstrap needs root; run this as root once, then build as anyone"
command -v debootstrap >/dev/null || refuse "debootstrap is missing; apt-get install debootstrap"
docker info >/dev/null 2>&1 || refuse "no Docker daemon answers; docker/start_daemon.sh starts one"

# The first source of this suite that apt itself uses: `RELEASE REPO_URI`, as written in the machine's source lists.
mirror=${3:-$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' 'Component: main' |
    awk -v suite="$suite" '$1 == suite { print $2; exit }')}
[ -n "$mirror" ] || refuse "apt has no source for $suite; name a Debian mirror as the third argument"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$folder"

debootstrap --variant=minbase --include=python3,python3-venv,python-is-python3,ca-certificates \
    "$suite" "$folder" "$mirror" >"$folder.log" 2>&1 || {
    tail -n 20 "$folder.log" >&2
    refuse "debootstrap failed; its log is $folder.log"
}
rm -f "$folder.log"

# What an image has no use for: downloaded packages, their lists, documentation, and the name of this machine's mirror.
rm -rf "$folder"/var/cache/apt/* "$folder"/var/lib/apt/lists/* "$folder"/var/log/* \
    "$folder"/usr/share/doc/* "$folder"/usr/share/man/* "$folder"/usr/share/locale/* "$folder"/etc/apt/sources.list

tar -C "$folder" --numeric-owner -c . |
    docker import --change 'CMD ["python3"]' --message "debootstrap of Debian $suite" - "$name" >/dev/null
echo "airgapped: made $name"
