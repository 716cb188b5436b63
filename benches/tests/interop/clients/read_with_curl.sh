# Knows whether a body is whole. Usage: read_with_curl.sh ADDRESS PIECE PIECES
source "$(dirname "$0")/curl.sh"
bytes=$(($2 * $3))

read_all() {
    curl --silent --max-time 60 --noproxy '*' "${@:2}" "http://$address$1" | wc --bytes
}

for way in --http1.1 --http1.0 "--limit-rate 20M"; do
    received=$(read_all /whole $way)
    [[ $received == "$bytes" ]] || fail "$way"
done
# A transfer that ended early.
status=0
received=$(read_all /broken) || status=$?
[[ $status == 18 ]] || fail "status $status"
