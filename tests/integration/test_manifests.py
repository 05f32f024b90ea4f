#!/usr/bin/python3
"""
The manifests of contrib/kubernetes hold together and keep to the Pod Security Standard "restricted", their
configurations are ones that midrelay takes, and compose.yml shares one network.
"""

import os
import re
import shutil
import subprocess

import harness
from harness import Skip

try:
    import yaml
except ImportError:
    yaml = None

CONTRIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "contrib")
KUBERNETES = os.path.join(CONTRIB, "kubernetes")
OVERLAYS = ("mode-http", "host-aliases")


def load(path):
    if yaml is None:
        raise Skip("python3-yaml is not installed")
    with open(path) as text:
        return [found for found in yaml.safe_load_all(text) if found]


def patch(document, operation):
    """The one operation of JSON Patch that the overlays use."""
    assert operation["op"] == "add", operation
    at, (*way, last) = document, operation["path"].lstrip("/").split("/")
    for step in way:
        at = at[int(step) if isinstance(at, list) else step]
    if isinstance(at, list):
        assert last == "-", operation
        at.append(operation["value"])
    else:
        assert last not in at, operation
        at[last] = operation["value"]


def render(directory):
    """What kustomize makes of it, as far as these manifests ask: [object]"""
    kustomization, = load(os.path.join(directory, "kustomization.yaml"))
    known = {"apiVersion", "kind", "namespace", "resources", "images", "generatorOptions", "configMapGenerator", "patches"}
    assert not set(kustomization) - known, set(kustomization) - known
    found = []
    for name in kustomization["resources"]:
        path = os.path.join(directory, name)
        found += render(path) if os.path.isdir(path) else load(path)
    for each in kustomization.get("patches", []):
        targets = [one for one in found if all(
            each["target"].get(key) in (None, value)
            for key, value in (("kind", one["kind"]), ("name", one["metadata"]["name"])))]
        assert len(targets) == 1, each
        for operation in load(os.path.join(directory, each["path"]))[0]:
            patch(targets[0], operation)
    for each in kustomization.get("configMapGenerator", []):
        assert kustomization["generatorOptions"]["disableNameSuffixHash"] is True
        data = dict(pair.split("=", 1) for pair in each.get("literals", []))
        for name in each.get("files", []):
            with open(os.path.join(directory, name)) as text:
                data[name] = text.read()
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": each["name"]}, "data": data})
    for one in found:
        if one["kind"] != "Namespace":
            one["metadata"]["namespace"] = kustomization.get("namespace", one["metadata"].get("namespace"))
    return found


def overlay(name):
    """(objects, the pod's spec, the sidecar)"""
    objects = render(os.path.join(KUBERNETES, "overlays", name))
    deployment, = [one for one in objects if one["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= \
        deployment["spec"]["template"]["metadata"]["labels"].items()
    sidecar, = spec["initContainers"]
    return objects, spec, sidecar


SAFE_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start"}
RESTRICTED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected",
                      "secret"}


def violations(spec):
    """Where a pod breaks the Pod Security Standard "restricted" (kubernetes.io/docs/concepts/security)."""
    pod = spec.get("securityContext", {})
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield key
    for volume in spec.get("volumes", []):
        if not set(volume) - {"name"} <= RESTRICTED_VOLUMES:
            yield "volume %s" % volume["name"]
    for sysctl in pod.get("sysctls", []):
        if sysctl["name"] not in SAFE_SYSCTLS:
            yield sysctl["name"]
    for container in spec.get("initContainers", []) + spec["containers"]:
        own = container.get("securityContext", {})
        name = container["name"]
        if own.get("allowPrivilegeEscalation") is not False:
            yield name + ": allowPrivilegeEscalation"
        if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
            yield name + ": runAsNonRoot"
        if own.get("runAsUser", pod.get("runAsUser")) == 0:
            yield name + ": runAsUser"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or \
                set(own["capabilities"].get("add", [])) - {"NET_BIND_SERVICE"}:
            yield name + ": capabilities"
        if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in ("RuntimeDefault", "Localhost"):
            yield name + ": seccompProfile"
        if own.get("privileged") or own.get("procMount", "Default") != "Default" or \
                any(port.get("hostPort") for port in container.get("ports", [])):
            yield name + ": privileged, procMount or hostPort"


def test_restricted(case):
    """Both overlays keep to "restricted", which their namespace enforces; the sidecar's root is read-only besides."""
    for name in OVERLAYS:
        objects, spec, sidecar = overlay(name)
        assert list(violations(spec)) == [], list(violations(spec))
        assert sidecar["securityContext"]["readOnlyRootFilesystem"] is True
        namespace, = [one for one in objects if one["kind"] == "Namespace"]
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        # The rules above do see what breaks them.
        sidecar["securityContext"]["capabilities"] = {"drop": ["NET_RAW"]}
        del spec["securityContext"]["seccompProfile"], spec["securityContext"]["runAsNonRoot"]
        spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}})
        assert len(list(violations(spec))) == 6, list(violations(spec))


def test_sidecar(case):
    """A native sidecar that is up before the MID Server, probed by midrelay itself, in a pod that lets it drain."""
    for name in OVERLAYS:
        _, spec, sidecar = overlay(name)
        assert sidecar["name"] == "midrelay" and sidecar["restartPolicy"] == "Always"
        for probe, asks in (("startupProbe", "live"), ("livenessProbe", "live"), ("readinessProbe", "ready")):
            assert sidecar[probe]["exec"]["command"] == ["/usr/bin/midrelay", "status", "--probe", asks]
        assert spec["terminationGracePeriodSeconds"] > 20
        assert {"requests", "limits"} <= set(sidecar["resources"])


def test_mounts(case):
    """Every mount has its volume, secrets are directories that others cannot read, and every file that a
    configuration names lies in one of them."""
    keys = {"midrelay-client": {"tls.crt", "tls.key", "ca.crt"}, "midrelay-local": {"tls.crt", "tls.key", "ca.crt"},
            "midrelay-proxy": {"password"}}
    for name in OVERLAYS:
        objects, spec, sidecar = overlay(name)
        maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for container in spec["initContainers"] + spec["containers"]:
            for mount in container.get("volumeMounts", []):
                assert "subPath" not in mount and mount["name"] in volumes, mount
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in maps, source
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in sidecar["volumeMounts"]}
        assert "midrelay.ini" in maps[mounts["/etc/midrelay"]["configMap"]["name"]]
        for path in re.findall(r"/etc/midrelay\S*", maps["midrelay"]["midrelay.ini"]):
            secret = mounts[os.path.dirname(path)]["secret"]
            assert os.path.basename(path) in keys[secret["secretName"]], path
            assert secret["defaultMode"] == 0o440
        assert "emptyDir" in mounts["/run/midrelay"]


def test_configurations(case):
    """`midrelay config` takes both configurations as they are, with the secrets' files where the mounts put them."""
    for name in OVERLAYS:
        objects, _, _ = overlay(name)
        text, = [one["data"]["midrelay.ini"] for one in objects
                 if one["kind"] == "ConfigMap" and "midrelay.ini" in one["data"]]
        made = case.dir + "/" + name
        for path in set(re.findall(r"/etc/(midrelay\S*)", text)):
            os.makedirs(os.path.join(made, os.path.dirname(path)), exist_ok=True)
            if path.endswith("password"):
                source = case.write("password", "secret\n", mode=0o600)
            else:
                source = case.lab.pki["client.pem" if path.endswith("crt") else "client.key"]
            shutil.copy(source, os.path.join(made, path))
        config = case.write(name + ".ini", text.replace("/etc/midrelay", made + "/midrelay"), mode=0o600)
        done = subprocess.run([harness.BINARY, "config", "-c", config], capture_output=True, text=True,
                              timeout=harness.LIMIT)
        assert done.returncode == 0, done.stderr


def test_certificates(case):
    """What cert-manager is asked for: client authentication for the instance, server authentication for the pod, in
    the secrets that the pod mounts; keys change with the certificate."""
    objects, spec, _ = overlay("host-aliases")
    certificates = {one["metadata"]["name"]: one["spec"] for one in objects + load(
        os.path.join(KUBERNETES, "cert-manager", "certificate.yaml")) if one["kind"] == "Certificate"}
    assert "client auth" in certificates["midrelay-client"]["usages"]
    local = certificates["midrelay-local"]
    assert "server auth" in local["usages"] and local["dnsNames"] == spec["hostAliases"][0]["hostnames"]
    for name in ("midrelay-client", "midrelay-local"):
        assert certificates[name]["secretName"] == name and certificates[name]["privateKey"]["rotationPolicy"] == "Always"
    issuers = {one["metadata"]["name"] for one in objects if one["kind"] == "Issuer"}
    assert {spec["issuerRef"]["name"] for spec in certificates.values()} - issuers == {"client-ca"}


def test_documented(case):
    """doc/installation.md names every kustomization there is, and the secrets that the pod mounts."""
    with open(os.path.join(CONTRIB, "..", "doc", "installation.md")) as text:
        text = text.read()
    named = re.findall(r"^kubectl kustomize contrib/kubernetes/(\S+)$", text, re.M)
    assert sorted(named) == sorted(["overlays/" + name for name in OVERLAYS] + ["cert-manager"]), named
    for name in named:
        assert os.path.exists(os.path.join(KUBERNETES, name, "kustomization.yaml"))
    _, spec, _ = overlay("mode-http")
    mounted = {volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume}
    assert set(re.findall(r"^kubectl -n mid-server create secret \w+ (\S+)", text, re.M)) == mounted


def flat(objects):
    return sorted((one["kind"], one["metadata"]["name"], yaml.safe_dump({key: one.get(key) for key in ("spec", "data")}))
                  for one in objects)


def test_kustomize(case):
    """kustomize itself, where there is one, makes the same of the overlays."""
    tool = shutil.which("kustomize"), shutil.which("kubectl")
    if not any(tool):
        raise Skip("neither kustomize nor kubectl is installed")
    for name in OVERLAYS:
        directory = os.path.join(KUBERNETES, "overlays", name)
        command = [tool[0], "build", directory] if tool[0] else [tool[1], "kustomize", directory]
        done = subprocess.run(command, capture_output=True, text=True, timeout=harness.LIMIT)
        assert done.returncode == 0, done.stderr
        ours = render(directory)
        for container in [one for one in ours if one["kind"] == "Deployment"][0]["spec"]["template"]["spec"].values():
            for each in container if isinstance(container, list) else []:
                if isinstance(each, dict) and "image" in each:
                    each["image"] += {"midrelay": ":0.1.0", "mid-server": ":latest"}[each["image"]]
        assert flat(yaml.safe_load_all(done.stdout)) == flat(ours)


def test_compose(case):
    """compose.yml: one network for both, the sidecar without rights, and the image's own user and probe."""
    services = load(os.path.join(CONTRIB, "container", "compose.yml"))[0]["services"]
    relay, mid = services["midrelay"], services["mid"]
    assert mid["network_mode"] == "service:midrelay" and "network_mode" not in relay and "ports" not in mid
    assert mid["depends_on"]["midrelay"]["condition"] == "service_healthy"
    assert relay["read_only"] is True and relay["cap_drop"] == ["ALL"]
    with open(os.path.join(CONTRIB, "container", "Dockerfile")) as text:
        dockerfile = text.read()
    assert "\nUSER %s\n" % relay["user"] in dockerfile
    assert 'CMD ["/usr/bin/midrelay", "status", "--probe", "live"]' in dockerfile and \
        relay["healthcheck"]["test"] == ["CMD", "/usr/bin/midrelay", "status", "--probe", "live"]
    assert os.path.exists(os.path.join(CONTRIB, "container", relay["build"]["context"], "configure.ac"))


if __name__ == "__main__":
    harness.main()
