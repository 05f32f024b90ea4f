#!/bin/sh
# Proves the direction of includes in src:
#
#	main, cmd_*  →  service  →  relay, check, import, status  →  dial  →  tls, config, loop, http  →  base
#
# A layer includes itself and what lies to its right; layers between the same arrows do not know one another.  Our headers are
# named by their path, OpenSSL's are for tls alone, JSON for config, check, status and the commands, inih for config, expat for import, libevent for
# those who have a loop.
set -eu

top=${srcdir:-$(dirname "$0")/..}
[ -f "$top/src/main.c" ] || top=$(dirname "$0")/..
cd "$top"

# shellcheck disable=SC2046
awk '
	function rank(layer) {
		if (layer == "main")
			return 6
		if (layer == "service")
			return 5
		if (layer == "relay" || layer == "check" || layer == "import" || layer == "status")
			return 4
		if (layer == "dial")
			return 3
		if (layer == "tls" || layer == "config" || layer == "loop" || layer == "http")
			return 2
		return layer == "base"
	}
	function offend(why) {
		printf "%s:%d: %s\n", FILENAME, FNR, why
		offenders++
	}
	FNR == 1 {
		files++
		layer = "main"
		if (split(FILENAME, part, "/") == 3)
			layer = part[2]
		if (!rank(layer))
			offend("the layer \"" layer "\" is in no order; the order stands in src/README.md and tests/check-includes.sh")
	}
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, quoted, "\"")
		header = quoted[2]
		slash = index(header, "/")
		other = slash ? substr(header, 1, slash - 1) : "main"
		if (!slash && header != "command.h")
			offend("\"" header "\" is not named by its path from src")
		else if (!rank(other))
			offend("\"" header "\" is in no layer")
		else if (rank(other) > rank(layer))
			offend(layer " must not know " other ": \"" header "\"")
		else if (rank(other) == rank(layer) && other != layer)
			offend(layer " and " other " must not know one another: \"" header "\"")
	}
	/^[ \t]*#[ \t]*include[ \t]*</ {
		header = $0
		sub(/^[^<]*</, "", header)
		sub(/>.*/, "", header)
		if (header ~ /^openssl\// && layer != "tls")
			offend("only tls includes OpenSSL: <" header ">")
		if (header == "jansson.h" && layer != "config" && layer != "check" && layer != "status" && layer != "main")
			offend("only config, check, status and the commands include JSON: <" header ">")
		if (header == "expat.h" && layer != "import")
			offend("only import includes an XML parser: <" header ">")
		if (header == "ini.h" && layer != "config")
			offend("only config includes inih: <" header ">")
		if (header ~ /^event2\// && (layer == "base" || layer == "config" || layer == "tls" || layer == "main"))
			offend(layer " has no event loop: <" header ">")
	}
	END {
		if (files < 2) {
			print "check-includes: no sources found"
			exit 1
		}
		if (offenders)
			exit 1
		printf "check-includes: %d files, every include goes one way\n", files
	}' $(find src -name '*.[ch]' | sort)
