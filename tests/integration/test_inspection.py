#!/usr/bin/python3
"""Proves that a proxy that inspects TLS sees neither the client certificate nor a byte of traffic."""

import harness
from harness import assert_nothing_left


def test_inspected_paths_are_refused(case):
    for version in ("1.2", "1.3"):
        for ask in ("none", "optional", "required"):
            instance = case.instance()
            proxy = case.proxy(instance, tunnel="inspect", inspect={"ask": ask, "tls_max": version})
            m = case.relay("instance.lab.test", [proxy])
            m.fails("tls-untrusted")
            assert_nothing_left(None, proxy)
            failed = m.events("path-failed")[0]
            assert "Corporate Inspection CA" in " ".join(failed.values()), failed


def test_inspector_whose_root_is_trusted(case):
    """Its certificate verifies; it is betrayed by not asking for ours."""
    for version in ("1.2", "1.3"):
        instance = case.instance()
        proxy = case.proxy(instance, tunnel="inspect", inspect={"tls_max": version})
        m = case.relay("instance.lab.test", [proxy], trust=case.pki["inspect-root.pem"])
        m.fails("client-cert-not-requested")
        assert_nothing_left(None, proxy, hello_only=False)


if __name__ == "__main__":
    harness.main()
