#!/bin/sh
# The last stage of the image: installs the package that build.sh made, for whoever has group 0.
#
#   install.sh OUT
set -eu

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends ca-certificates "$1"/midrelay_*.deb
# OpenShift runs images as a user of its own choice, in group 0.
chgrp 0 /etc/midrelay
install -d -m 0770 -g 0 /run/midrelay /var/lib/midrelay
# Nobody in here has to become somebody else.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old
