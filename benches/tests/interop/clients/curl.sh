# What scripts with curl share: they are called with the address of a server first.
set -euo pipefail
address=$1

# Gets a path with further options. The heads and the body are in `received`, with ends of lines as
# in Unix.
get() {
    received=$(curl --silent --show-error --include --max-time 60 --noproxy '*' \
        "${@:2}" "http://$address$1" | tr -d '\r')
}

# Fails unless `received` has all these parts.
has() {
    for part; do
        [[ $received == *"$part"* ]] || fail "without $part"
    done
}

fail() {
    echo "$*: $received" >&2
    exit 1
}
