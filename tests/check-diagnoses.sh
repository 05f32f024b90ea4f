#!/bin/sh
# Proves that every code in src/dial/diagnosis_table.c has its section in doc/diagnoses.md, that no section is left
# over, that each says all four things, and that the order is the same.
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
		/^## / { check(); code = $2; seen = 0 }
		index($0, part) == 1 { seen = 1 }
		END { check(); exit missing }' "$guide" >"$work/missing" || {
		echo "check-diagnoses: no **$part.** under $(tr '\n' ' ' <"$work/missing")" >&2
		failed=1
	}
done

[ "$failed" -eq 0 ] && echo "check-diagnoses: $rows codes, each with its section"
exit "$failed"
