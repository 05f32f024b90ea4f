#!/usr/bin/python3
"""
The lab of doc/network-teams.md: one target, three proxies on the way to it, and a shell that knows them.

    bypass.py [COMMAND [ARGUMENT…]]      default: $SHELL, or sh

    TARGET     the host that everybody wants; it asks for a client certificate and takes visitors without one, too
    ROUND      a proxy whose bypass rule works: it passes TLS on as it is
    INSPECTS   a proxy that breaks TLS open, with a CA of its own
    BLOCKS     a proxy that refuses: 403
    CA, CERT   the CA of the target; a client certificate with its key
    CONTROL    where the proxies are told to behave otherwise: curl -d '{"tunnel": "relay"}' $CONTROL/inspects

The exit status is the command's.
"""

import os
import subprocess
import sys

from lab import Control, Lab


def start(lab):
    """Starts it all; returns the variables."""
    target = lab.instance(ask="optional")
    proxies = {"round": lab.proxy(target), "inspects": lab.proxy(target, tunnel="inspect"),
               "blocks": lab.proxy(target, reply="403")}
    for name, proxy in proxies.items():   # which is what the control calls them
        lab.servers[name] = lab.servers.pop(proxy.name)
        proxy.name = name
    found = {name.upper(): "http://127.0.0.1:%d" % proxy.port for name, proxy in proxies.items()}
    found.update(TARGET="localhost:%d" % target.port, CA=lab.pki["root.pem"], CERT=lab.pki["client-bundle.pem"],
                 CONTROL="http://127.0.0.1:%d" % lab.call(Control(lab).start()))
    return found


def main():
    if sys.argv[1:] in (["--help"], ["-h"]):
        print(__doc__.strip())
        return 0
    with Lab() as lab:
        found = start(lab)
        if not sys.argv[1:]:
            print("\n".join("%-9s %s" % pair for pair in found.items()), flush=True)
        command = sys.argv[1:] or [os.environ.get("SHELL", "sh")]
        return subprocess.run(command, env=dict(os.environ, **found), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
