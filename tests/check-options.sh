#!/bin/sh
# Proves that every option of the table (src/config/config_table.c) stands in etc/midrelay.ini, in its section, with
# its help and default; that it has its entry with its default in doc/midrelay.ini.5; that neither names an option
# that does not exist; and that the sample files load, also with every option in force.
set -eu

top=${srcdir:-$(dirname "$0")/..}
[ -f "$top/etc/midrelay.ini" ] || top=$top/..
dump=${DUMP_OPTIONS:-./tests/dump-options}
sample=$top/etc/midrelay.ini
page=$top/doc/midrelay.ini.5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
tab=$(printf '\t')

fail() {
    echo "check-options: $*" >&2
    failed=1
}

"$dump" >"$work/options"
[ -s "$work/options" ] || {
    echo "check-options: $dump names no option" >&2
    exit 1
}
cut -f 1,2 "$work/options" | sort >"$work/known"

# Each key of the sample with its section and the two comment lines above it.
awk -v OFS='\t' '
    /^;?\[/ { section = $0; gsub(/^;?\[|[] ].*$/, "", section); next }
    /^;?[a-z_]+ *= / {
        key = $0; sub(/^;/, "", key); sub(/ *=.*/, "", key)
        print section, key, last, before
    }
    { before = last; last = $0 }' "$sample" >"$work/sample"
# Each entry of the man page with its section and the default that it gives.
awk -v OFS='\t' '
    function flush() { if (key != "") print section, key, shown; key = shown = "" }
    /^\.S[hs] / { flush() }
    /^\.Sh / { section = "" }
    /^\.Sh .*\[midrelay\]/ { section = "midrelay" }
    /^\.Sh .*\[relay NAME\]/ { section = "relay" }
    /^\.Sh .*\[proxy NAME\]/ { section = "proxy" }
    /^\.It Ic / { flush(); key = $3 }
    /^Default: / { shown = substr($0, 10); sub(/\.$/, "", shown) }
    END { flush() }' "$page" >"$work/page"

while IFS=$tab read -r section key default help; do
    grep -qFx "$section$tab$key$tab; Default: $default$tab; $help" "$work/sample" ||
        fail "$sample: [$section] $key must stand below the lines '; $help' and '; Default: $default'"
    grep -qFx "$section$tab$key$tab$default" "$work/page" ||
        fail "$page: [$section] $key needs an entry '.It Ic $key' with a line 'Default: $default.'"
done <"$work/options"

for file in sample page; do
    cut -f 1,2 "$work/$file" | sort >"$work/named"
    comm -13 "$work/known" "$work/named" >"$work/unknown"
    while IFS=$tab read -r section key; do
        fail "the $file names [$section] $key (once too often, or no such option)"
    done <"$work/unknown"
done

load() {
    "$dump" --load "$1" || fail "$2 does not load without a fault or note"
}
load "$sample" "$sample"
load "$top/etc/midrelay-minimal.ini" "$top/etc/midrelay-minimal.ini"
# With a tls:// address, without which listen_cert would draw a note.
tls_too='s,^listen = .*,&\, tls://127.0.0.1:8443,'
# Every option in force, once with the bundle and once with the separate files; the account need not exist here.
sed -e 's/^;\([a-z_]* *= \)/\1/; s/^;\[/[/; s/^\(user\|group\) = midrelay$/\1 = 0/' -e "$tls_too" "$sample" >"$work/all.ini"
sed '/^client_\(cert\|key\|chain\) /d' "$work/all.ini" >"$work/bundle.ini"
sed '/^client_bundle /d' "$work/all.ini" >"$work/split.ini"
load "$work/bundle.ini" "$sample with every option but client_cert, client_key and client_chain in force"
load "$work/split.ini" "$sample with every option but client_bundle in force"

echo "check-options: $(wc -l <"$work/options") options"
exit $failed
