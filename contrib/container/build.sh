#!/bin/sh
# The build stage of the image: makes the Debian package of SOURCE, and puts it with install.sh into OUT.
#
#   contrib/container/build.sh SOURCE OUT
set -eu

source=$1 out=$2
export DEBIAN_FRONTEND=noninteractive
apt-get update
"$source/contrib/install-deps" build
apt-get install -y --no-install-recommends build-essential debhelper xz-utils
(cd "$source" && autoreconf -fi)
mkdir -p /build "$out"
cd /build
"$source/configure" --prefix=/usr --sysconfdir=/etc
make deb
cp packages/deb/midrelay_*.deb "$source/contrib/container/install.sh" "$out"
