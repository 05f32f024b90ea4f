#!/bin/sh
# Proves where contrib/build builds: in an absolute directory, or below the top of the tree, wherever it is called from.
# The tree is one of its own, whose configure takes no time.
set -eu

top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
[ -d "$top/contrib" ] || top=$(dirname "$top")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir "$tree" "$tree/contrib"
cp "$top/contrib/build" "$tree/contrib/build"
touch "$tree/configure.ac" "$tree/Makefile.am" "$tree/Makefile.in"
cat >"$tree/configure" <<'END'
#!/bin/sh
touch config.status
printf 'all:\n\techo "%s" >built\nclean:\n' "$*" >Makefile
END
chmod 755 "$tree/configure" "$tree/contrib/build"
touch -d '1 hour ago' "$tree"/*

fail() {
    echo "check-build: $1" >&2
    exit 1
}

cd "$work"
"$tree/contrib/build" "$work/else where/build" --one || fail "an absolute directory is not taken"
[ "$(cat "$work/else where/build/built")" = --one ] || fail "an absolute directory is not where it builds"
"$tree/contrib/build" build/two || fail "a directory below the tree is not taken"
[ -e "$tree/build/two/built" ] || fail "a directory is not below the top of the tree"
[ "$(ls "$tree")" = "$(printf 'Makefile.am\nMakefile.in\nbuild\nconfigure\nconfigure.ac\ncontrib')" ] ||
    fail "something else was made in the tree: $(ls "$tree")"
