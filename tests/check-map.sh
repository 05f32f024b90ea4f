#!/bin/sh
# Proves that the map of the source, src/README.md, names every module in the paragraph of its layer, and none that is not
# there.
set -eu

top=${srcdir:-$(dirname "$0")/..}
[ -f "$top/src/main.c" ] || top=$(dirname "$0")/..
cd "$top/src"

# `x_internal.h` belongs to x.
there=$(find . -mindepth 2 -name '*.[ch]' | sed 's|^\./||; s|\.[ch]$||' | grep -v '_internal$' | sort -u)
# "**relay/**" begins a layer; what stands in `…` there and is a name of ours is a module.
drawn=$(awk '
	/^## / {
		modules = $0 == "## Modules"
	}
	!modules {
		next
	}
	/^\*\*[a-z]+\/\*\*/ {
		layer = $0
		gsub(/^\*\*|\/\*\*.*/, "", layer)
	}
	layer != "" {
		parts = split($0, part, "`")
		for (i = 2; i <= parts; i += 2)
			if (part[i] ~ /^[a-z0-9_]+$/)
				print layer "/" part[i]
	}' README.md | sort -u)
failed=0
for module in $there; do
	printf '%s\n' "$drawn" | grep -qx "$module" || {
		echo "check-map: src/README.md does not name $module" >&2
		failed=1
	}
done
# Options and words stand in `…` as well: only what looks like a module of its layer is asked for.
for module in $drawn; do
	layer=${module%%/*}
	case ${module#*/} in
	"$layer"_* | bundle_* | stream_* | handshake_* | sandbox_* | session_* | pump_* | relay_* | diagnosis_* | identity_*) ;;
	*) continue ;;
	esac
	printf '%s\n' "$there" | grep -qx "$module" || {
		echo "check-map: there is no src/$module, which src/README.md names" >&2
		failed=1
	}
done
[ "$failed" -eq 0 ]
echo "check-map: $(printf '%s\n' "$there" | wc -l) modules, all on the map"
