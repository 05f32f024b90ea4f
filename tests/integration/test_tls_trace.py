#!/usr/bin/python3
import harness
from harness import records_done
def test_x(case):
    i = case.instance()
    p = case.proxy(i, tls={})
    m = case.relay("instance.lab.test", [p], proxy_trust=case.pki["root.pem"])
    m.get("/"); m.session(); m.get("/"); m.session(2)
    i.configure(tls_max="1.2")
    m.get("/"); m.session(3)
    m.get("/"); m.session(4)
    for e in m.events("tls-trace"): print(e["id"], e["peer"], e["msg"])
    print(m.tail(3))
if __name__ == "__main__":
    harness.main()
