#!/bin/sh
# Proves that the packages go with the tree: their version is configure's, and what contrib/install-deps knows to be needed
# for a build stands in the build dependencies of the Debian package and of the RPM, under their names there.
set -eu

top=${srcdir:-$(dirname "$0")/..}
control=$top/contrib/debian/control
spec=$top/contrib/rpm/midrelay.spec
failed=0

fail() {
	echo "check-packages: $*" >&2
	failed=1
}

version=$(sed -n 's/^AC_INIT(\[midrelay\], \[\(.*\)\])$/\1/p' "$top/configure.ac")
[ -n "$version" ] || fail "no version in configure.ac"
sed -n "1s/^midrelay (\\(.*\\)-[0-9]*) .*/\\1/p" "$top/contrib/debian/changelog" | grep -qxF "$version" ||
	fail "contrib/debian/changelog does not begin with $version"
grep -Eq "^Version: +$version\$" "$spec" || fail "$spec is not of version $version"
grep -q "^### $version\$" "$top/doc/upgrading.md" || fail "doc/upgrading.md has no notes for $version"

rows=$(grep -E '^	(build|test) +pc:' "$top/contrib/install-deps")
[ "$(echo "$rows" | wc -l)" -ge 6 ] || fail "contrib/install-deps has no rows that were understood"
while read -r _ _ debian fedora; do
	grep -Eq "^ $debian( |,)" "$control" || fail "contrib/debian/control does not name $debian"
	grep -Eq "^BuildRequires: +$fedora( |\$)" "$spec" || fail "contrib/rpm/midrelay.spec does not name $fedora"
done <<ROWS
$rows
ROWS
exit $failed
