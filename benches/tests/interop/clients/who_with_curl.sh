# Several clients behind a proxy, each of which gets its address. Those that follow use connections
# of the proxy that others have used.
source "$(dirname "$0")/curl.sh"

for client in 127.0.0.2 127.0.0.3 127.0.0.2 127.0.0.3; do
    # The proxy does not forward the client's own header.
    get /who --interface "$client" --header "X-Forwarded-For: 192.0.2.7"
    has "HTTP/1.1 200 OK"
    [[ $received == *$'\n\n'"$client" ]] || fail "not $client"
done
