# Uploads a file that is too long. Usage: upload_too_much_with_curl.sh ADDRESS MAX FOLDER
source "$(dirname "$0")/curl.sh"
max=$2 folder=$3

head --bytes "$((max + 1))" /dev/zero >"$folder/file"
for length in "Transfer-Encoding: chunked" "Accept: */*"; do
    for expect in "Expect:" "Expect: 100-continue"; do
        get /files/a --data-binary "@$folder/file" --expect100-timeout 60 \
            --header "$expect" --header "$length" --write-out '\nsent %{size_upload}'
        has "HTTP/1.1 413 "
    done
done
# The length alone is too much, so that nothing is sent when the server is asked.
[[ $received == *$'\nsent 0' ]] || fail "something was sent"
[[ ! -e $folder/uploads/a ]] || fail "something was kept"
