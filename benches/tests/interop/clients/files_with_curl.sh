# A file as a whole and in parts, and a preflight with what follows it.
source "$(dirname "$0")/curl.sh"

get /file
has "HTTP/1.1 200 OK" $'\n\n0123456789'
etag=$(sed -n 's/^ETag: //p' <<<"$received")
get /file --header "If-None-Match: $etag"
has "HTTP/1.1 304 Not Modified" "$etag"
get /file --range 2-4
has "HTTP/1.1 206 " $'\nContent-Range: bytes 2-4/10\n' $'\n\n234'
get /file --continue-at 7
has "HTTP/1.1 206 " $'\nContent-Range: bytes 7-9/10\n' $'\n\n789'
get /file --range 10-
has "HTTP/1.1 416 " $'\nContent-Range: bytes */10\n'

origin="Origin: https://app.example"
allowed=$'\nAccess-Control-Allow-Origin: https://app.example'
get /rooms/a%20b --header "$origin" \
    --request OPTIONS --header "Access-Control-Request-Method: PUT"
has "HTTP/1.1 204 No Content" "$allowed" $'\nAccess-Control-Allow-Methods: PUT'
get /rooms/a%20b --header "$origin" --request PUT --data hello
has "HTTP/1.1 200 OK" "$allowed" $'\n\na b: 5 bytes'
