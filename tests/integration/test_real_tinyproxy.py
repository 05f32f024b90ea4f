#!/usr/bin/python3
"""Proves the way through tinyproxy with BasicAuth; what its refusals end in stands in test_real_codes.py."""

import harness
import real


def test_requests(case):
    nginx = real.nginx(case)
    password = "plain7word"
    keys = case.keys("127.0.0.1:%d" % nginx.port, [real.tinyproxy(case, nginx.port, password=password).url],
                     proxy_user=harness.USER, proxy_password="file:" + case.write("tinyproxy-password", password))
    m = case.start({"relay r": keys}, secrets=[password])
    for n in range(3):
        assert b"verify SUCCESS" in m.get("/%d" % n).body
    m.session(3)


if __name__ == "__main__":
    harness.main()
