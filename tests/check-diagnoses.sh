#!/bin/sh
# Proves that every code in src/dial/diagnosis_table.c has its section in doc/diagnoses.md, that no section is left
# over, that each says all four things, and that the order is the same; that every cause in diagnosis_cause.c stands in
# its code's section, and that every symptom in symptoms.c has its own, in the same order.
set -eu

top=${srcdir:-$(dirname "$0")/..}
[ -f "$top/src/dial/diagnosis_table.c" ] || top=$top/..
table=$top/src/dial/diagnosis_table.c
guide=$top/doc/diagnoses.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

sed -n 's/^.*\.name = "\([a-z0-9-]*\)".*$/\1/p' "$table" >"$work/codes"
sed -n 's/^## `\(.*\)`$/\1/p' "$guide" >"$work/sections"
rows=$(grep -c '^	\[DIAGNOSIS_[A-Z0-9_]*\] = {$' "$table")

if [ ! -s "$work/codes" ] || [ "$(wc -l <"$work/codes")" -ne "$rows" ]; then
	echo "check-diagnoses: $rows rows in $table, but $(wc -l <"$work/codes") names" >&2
	exit 1
fi
if ! diff -u "$work/codes" "$work/sections" >"$work/diff"; then
	echo "check-diagnoses: codes in $table (-) and sections in $guide (+) differ:" >&2
	sed 1,2d "$work/diff" >&2
	failed=1
fi

for part in Means 'Behind it' Do Example; do
	awk -v part="**$part.** " '
		function check() { if (code != "" && !seen) { print code; missing = 1 } }
		/^## / { check(); code = "" }
		/^## `/ { code = $2; seen = 0 }
		index($0, part) == 1 { seen = 1 }
		END { check(); exit missing }' "$guide" >"$work/missing" || {
		echo "check-diagnoses: no **$part.** under $(tr '\n' ' ' <"$work/missing")" >&2
		failed=1
	}
done

# As "code cause": DIAGNOSIS_PROXY_STATUS with .name = "portal" is "proxy-status portal".
sed -n -e '/DIAGNOSIS_OK/d' -e 's/^.*\.code = DIAGNOSIS_\([A-Z_]*\),.*$/\1/p' -e 's/^.*\.name = "\([a-z0-9-]*\)".*$/\1/p' \
	"$top/src/dial/diagnosis_cause.c" | awk 'NR % 2 { code = tolower($0); gsub("_", "-", code); next }
	{ print code, $0 }' | sort >"$work/causes"
awk '/^## / { code = ""; listing = 0 }
	/^## `/ { code = $2; gsub(/`/, "", code) }
	/^\*\*/ { listing = index($0, "**Causes.**") == 1 }
	listing && /^- `/ { cause = $2; gsub(/[`:]/, "", cause); print code, cause }' "$guide" | sort >"$work/told"
if [ ! -s "$work/causes" ] || ! diff -u "$work/causes" "$work/told" >"$work/diff"; then
	echo "check-diagnoses: causes in diagnosis_cause.c (-) and in $guide (+) differ:" >&2
	sed 1,2d "$work/diff" >&2
	failed=1
fi

sed -n 's/^		\.says = "\(.*\)",$/\1/p' "$top/src/dial/symptoms.c" >"$work/symptoms"
sed -n "/^## What the MID's log says\$/,\$ s/^### //p" "$guide" >"$work/headings"
if [ "$(wc -l <"$work/symptoms")" -ne "$(grep -c '^		\.says = ' "$top/src/dial/symptoms.c")" ] ||
	! diff -u "$work/symptoms" "$work/headings" >"$work/diff"; then
	echo "check-diagnoses: symptoms in symptoms.c (-) and in $guide (+) differ:" >&2
	sed 1,2d "$work/diff" >&2
	failed=1
fi

[ "$failed" -eq 0 ] && echo "check-diagnoses: $rows codes, $(wc -l <"$work/causes") causes, $(wc -l <"$work/symptoms") symptoms, each in the guide"
exit "$failed"
