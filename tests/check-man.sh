#!/bin/sh
# Proves that the manual pages have nothing that mandoc's lint objects to, and that each names the other.  Which other
# manuals are installed on this host does not matter.
set -u

top=${srcdir:-$(dirname "$0")/..}
command -v mandoc >/dev/null 2>&1 || {
	echo "check-man: mandoc is not installed"
	exit 77
}
failed=0

said=$(mandoc -Tlint -Wall "$top/doc/midrelay.8" "$top/doc/midrelay.ini.5" 2>/dev/null |
	grep -v 'referenced manual not found')
if [ -n "$said" ]; then
	echo "$said" >&2
	failed=1
fi
for pair in 'midrelay.8:midrelay.ini 5' 'midrelay.ini.5:midrelay 8'; do
	grep -q "^\.Xr ${pair#*:}" "$top/doc/${pair%%:*}" || {
		echo "check-man: doc/${pair%%:*} does not name ${pair#*:}" >&2
		failed=1
	}
done
exit $failed
