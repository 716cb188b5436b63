# Uploads the longest file, announced and not, with its length and in chunks.
# Usage: upload_with_curl.sh ADDRESS MAX FOLDER
source "$(dirname "$0")/curl.sh"
max=$2 folder=$3

head --bytes "$max" /dev/urandom >"$folder/file"
hash=$(sha1sum "$folder/file" | cut --delimiter ' ' --fields 1)
for length in "Accept: */*" "Transfer-Encoding: chunked"; do
    for expect in "Expect:" "Expect: 100-continue"; do
        # It waits for 100 rather than sending the body anyway.
        get /files/a --data-binary "@$folder/file" --expect100-timeout 60 \
            --header "$expect" --header "$length"
        has "{\"name\":\"a\",\"bytes\":$max,\"sha1\":\"$hash\"}"
        case $expect in
            *100*) [[ $received == "HTTP/1.1 100 "* ]] || fail "not asked" ;;
            *) [[ $received != "HTTP/1.1 100 "* ]] || fail "asked" ;;
        esac
        cmp "$folder/file" "$folder/uploads/a"
    done
done
