"""What reads each form: a function from the text to (name, TTL, record), the name with its final dot."""

import importlib
import json
import logging
import re
import shutil
import socket
import sqlite3
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path


class Missing(Exception):
    """A reader that is not installed."""


class Place:
    """Where a record belongs."""

    def __init__(self, selector, domain, zone, ttl):
        self.selector, self.zone, self.ttl = selector, zone, ttl
        self.name = f"{selector}._domainkey.{domain}."

    def absolute(self, relative):
        """A name of the zone, and nothing that only looks like one."""
        if relative.endswith("."):
            raise ValueError(f"{relative} should be relative")
        if relative == "@":
            return f"{self.zone}."
        return f"{relative}.{self.zone}."


def program(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        raise Missing(name)
    return path


def module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Missing(f"the Python module {name}") from None


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    if done.returncode:
        raise ValueError(f"{command[0]}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout


def presentation(text):
    """The record in quoted strings, as dnspython reads them (RFC 1035 §5.1)."""
    rdata = module("dns.rdata").from_text("IN", "TXT", text)
    return b"".join(rdata.strings).decode()


def one_line(text):
    if text.count("\n") != 1 or not text.endswith("\n"):
        raise ValueError("not one line")
    return text[:-1]


# Forms of dkimkit's own, and zone files


def value(text, place, work):
    return place.name, None, one_line(text)


def quoted(text, place, work):
    return place.name, None, presentation(one_line(text))


def json_(text, place, work):
    ((name, entry),) = json.loads(text).items()
    (record,), (strings,) = entry["TXT"], entry["strings"]
    if "".join(strings) != record or max(len(s.encode()) for s in strings) > 255:
        raise ValueError("the strings are not the record")
    return name, None, record


def zone(text, place, work):
    source = work / "zone"
    source.write_text(f"$TTL 3600\n@ IN SOA ns.example. host.example. 1 3600 900 604800 900\n@ IN NS ns.example.\n{one_line(text)}\n")
    compile_zone = [program("named-compilezone"), "-q", "-j", "-i", "local", "-F", "text", "-s", "full", "-o", work / "out"]
    run(*compile_zone, place.zone, source)
    found = re.findall(r"^(\S+)\s+(\d+)\s+IN\s+TXT\s+(.*)$", (work / "out").read_text(), re.M)
    ((name, ttl, record),) = found
    return name, int(ttl), presentation(record)


def nsupdate(text, place, work):
    lines = text.splitlines()
    if lines[1] != f"zone {place.zone}." or lines.pop() != "send" or "send" in lines:
        raise ValueError("not one transaction in the zone")
    # It prints the message that it would send.
    shown = run(program("nsupdate"), input="\n".join([*lines, "show", "quit", ""]))
    delete, add = [line.split(None, 4) for line in shown.partition(";; UPDATE SECTION:\n")[2].split("\n") if line]
    if delete != [place.name, "0", "ANY", "TXT"] or add[2:4] != ["IN", "TXT"]:
        raise ValueError(f"not a replacement: {shown}")
    return add[0], int(add[1]), presentation(add[4])


# Interfaces of DNS hosts


def octal(text):
    """Quoted strings with octal numbers, as Route 53 documents them."""
    if not re.fullmatch(r'"([ -!#-\[\]-~]|\\[0-7]{3}|\\["\\])*"( ?"([ -!#-\[\]-~]|\\[0-7]{3}|\\["\\])*")*', text):
        raise ValueError(f"not quoted strings: {text}")
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    decoded = [re.sub(rb"\\([0-7]{3}|.)", lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else m[1], s.encode()) for s in strings]
    if max(map(len, decoded)) > 255:
        raise ValueError("a string is too long")
    return b"".join(decoded).decode()


def route53(text, place, work):
    session = module("botocore.session").get_session()
    operation = session.get_service_model("route53").operation_model("ChangeResourceRecordSets")
    serializer = module("botocore.serialize").create_serializer("rest-xml", include_validation=True)
    request = serializer.serialize_to_request({"HostedZoneId": "Z", "ChangeBatch": json.loads(text)}, operation)
    root = module("xml.etree.ElementTree").fromstring(request["body"])
    (change,) = root.findall(".//{*}Change")
    find = lambda name: change.find(f".//{{*}}{name}").text
    if (find("Action"), find("Type")) != ("UPSERT", "TXT"):
        raise ValueError("not an UPSERT of TXT")
    (content,) = change.findall(".//{*}Value")
    return find("Name"), int(find("TTL")), octal(content.text)


def cloudflare(text, place, work):
    client, httpx = module("cloudflare"), module("httpx")
    sent = []

    def answer(request):
        sent.append(json.loads(request.content))
        return httpx.Response(200, json={"success": True, "errors": [], "messages": [], "result": {**sent[0], "id": "x"}})

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    client.Cloudflare(api_token="x", http_client=transport).dns.records.create(zone_id="z", **json.loads(text))
    (body,) = sent
    if body["type"] != "TXT":
        raise ValueError("not a TXT record")
    return f"{body['name']}.", body["ttl"], presentation(body["content"])


def flarectl(text, place, work):
    # No package has flarectl: the shape is that of its writeTable, rows of strings.
    (row,) = json.loads(text)
    if not all(isinstance(v, str) for v in row.values()) or row["Type"] != "TXT":
        raise ValueError("not a row of strings")
    if not set(row) <= {"ID", "Name", "Type", "Content", "TTL", "Proxiable", "Proxy", "Locked"}:
        raise ValueError("an unknown column")
    return f"{row['Name']}.", int(row["TTL"]), presentation(row["Content"])


def google(text, place, work):
    found = module("google.cloud.dns").ResourceRecordSet.from_api_repr(json.loads(text), None)
    if found.record_type != "TXT":
        raise ValueError("not a TXT record")
    (record,) = found.rrdatas
    return found.name, found.ttl, presentation(record)


def azure(text, place, work):
    found = module("azure.mgmt.dns.models").RecordSet.deserialize(json.loads(text))
    (record,) = found.txt_records
    if max(map(len, record.value)) > 255:
        raise ValueError("a string is too long")
    return place.absolute(found.name), found.ttl, "".join(record.value)


def cpanel(text, place, work):
    # cPanel cannot be installed: the shape is that of programs that call it.
    add = json.loads(one_line(text))
    if set(add) != {"dname", "ttl", "record_type", "data"} or add["record_type"] != "TXT":
        raise ValueError("not an added TXT record")
    if max(map(len, add["data"])) > 255:
        raise ValueError("a string is too long")
    return add["dname"], add["ttl"], "".join(add["data"])


# Terraform: HashiCorp's parser reads the block, and what a provider does with the text is done here


def block(text, kind, zone_argument, zone):
    ((found, labels),) = module("pygohcl").loads(text)["resource"].items()
    ((label, arguments),) = labels.items()
    if found != kind or not re.fullmatch(r"[A-Za-z_][\w-]*", label):
        raise ValueError(f"not a {kind}")
    if zone and arguments[zone_argument] != zone:
        raise ValueError(f"{zone_argument} is {arguments[zone_argument]}")
    return arguments


def literal(text):
    """pygohcl takes no variable, and needs none: it stands for what the key does not tell."""
    return re.sub(r"= var\.(\w+)$", r'= "\1"', text, flags=re.M)


def terraform_aws(text, place, work):
    found = block(literal(text), "aws_route53_record", "zone_id", "zone_id")
    (record,) = found["records"]
    # The provider adds the outer quotes.
    return f"{found['name']}.", found["ttl"], octal(f'"{record}"')


def terraform_cloudflare(text, place, work):
    found = block(literal(text), "cloudflare_dns_record", "zone_id", "zone_id")
    return f"{found['name']}.", found["ttl"], presentation(found["content"])


def terraform_google(text, place, work):
    found = block(literal(text), "google_dns_record_set", "managed_zone", "managed_zone")
    (record,) = found["rrdatas"]
    return found["name"], found["ttl"], presentation(record)


def terraform_azure(text, place, work):
    found = block(literal(text), "azurerm_dns_txt_record", "zone_name", place.zone)
    # The provider cuts the value itself.
    return place.absolute(found["name"]), found["ttl"], found["record"]["value"]


def terraform_digitalocean(text, place, work):
    found = block(text, "digitalocean_record", "domain", place.zone)
    # DigitalOcean cuts the value itself.
    return place.absolute(found["name"]), found["ttl"], found["value"]


def terraform_hetzner(text, place, work):
    found = block(text, "hcloud_zone_rrset", "zone", place.zone)
    (record,) = found["records"]
    return place.absolute(found["name"]), found["ttl"], presentation(record["value"])


# Tools that keep DNS as code


def octodns(text, place, work):
    logging.disable(logging.WARNING)
    provider, zones = module("octodns.provider.yaml"), module("octodns.zone")
    (work / f"{place.zone}.yaml").write_text(text)
    found = zones.Zone(f"{place.zone}.", [])
    provider.YamlProvider("yaml", str(work), escaped_semicolons=True).populate(found)
    (record,) = found.records
    (content,) = record.values
    return record.fqdn, record.ttl, presentation(content.to_rdata_text())


def dnscontrol(text, place, work):
    # No package has dnscontrol; like it, this is an ECMAScript 5 engine with its functions.
    functions = """
        var found = [];
        function TTL(seconds) { return {ttl: seconds}; }
        function TXT(name, text, ttl) { return {name: name, text: text, ttl: ttl.ttl}; }
        function D_EXTEND(zone, record) { record.zone = zone; found.push(record); }
    """
    (record,) = module("dukpy").evaljs([functions, text, "found"])
    if record["zone"] != place.zone:
        raise ValueError(f"the domain is {record['zone']}")
    return place.absolute(record["name"]), record["ttl"], record["text"]


# Name servers


def tinydns(text, place, work):
    (work / "data").write_text(f".{place.zone}:192.0.2.1:a:259200\n{one_line(text)}\n")
    run(program("tinydns-data"), cwd=work)
    answer = run(program("tinydns-get"), "TXT", place.name.rstrip("."), cwd=work)
    ((name, ttl, data),) = re.findall(r"^answer: (\S+) (\d+) 16 (.*)$", answer, re.M)
    data = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), data.encode("latin-1"))
    record = b""
    while data:
        record, data = record + data[1 : 1 + data[0]], data[1 + data[0] :]
    return f"{name}.", int(ttl), record.decode()


def shell(text, tool, arguments, work):
    """Runs the text as a shell would, the tool with arguments of ours: twice, for it is to replace."""
    wrapper = work / "bin" / tool
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(f'#!/bin/sh\nexec {program(tool)} {arguments} "$@"\n')
    wrapper.chmod(0o755)
    for _ in range(2):
        run("/bin/sh", "-e", "-c", text, env={"PATH": f"{wrapper.parent}:/usr/bin:/bin"})


def pdnsutil(text, place, work):
    pdns = program("pdnsutil")
    schema = Path("/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql")
    if not schema.exists():
        raise Missing("the schema of pdns-backend-sqlite3")
    with sqlite3.connect(work / "pdns.sqlite3") as database:
        database.executescript(schema.read_text())
    (work / "pdns.conf").write_text(f"launch=gsqlite3\ngsqlite3-database={work}/pdns.sqlite3\n")
    run(pdns, f"--config-dir={work}", "create-zone", place.zone)
    shell(text, "pdnsutil", f"--config-dir={work}", work)
    listed = run(pdns, f"--config-dir={work}", "list-zone", place.zone)
    ((name, ttl, record),) = re.findall(r"^(\S+)\t(\d+)\tIN\tTXT\t(.*)$", listed, re.M)
    return f"{name}.", int(ttl), presentation(record)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def server(*command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def ask(place, port, process):
    """The one answer of the server, when it is up."""
    message, query = module("dns.message"), module("dns.query")
    question = message.make_query(place.name, "TXT")
    for _ in range(100):
        try:
            answer = query.tcp(question, "127.0.0.1", port=port, timeout=10)
            break
        except OSError:
            if process.poll() is not None:
                raise ValueError(f"the server ended: {process.stdout.read()}") from None
            time.sleep(0.05)
    (rrset,) = answer.answer
    (record,) = rrset
    return rrset.name.to_text(), rrset.ttl, b"".join(record.strings).decode()


def knotc(text, place, work):
    port = free_port()
    (work / "zone").write_text("@ 900 SOA ns hostmaster 1 3600 900 604800 900\n@ 900 NS ns\nns 900 A 192.0.2.1\n")
    lines = ["server:", f"  rundir: {work}", f"  listen: 127.0.0.1@{port}", "database:", f"  storage: {work}", "control:", f"  listen: {work}/control"]
    lines += ["zone:", f"  - domain: {place.zone}", f"    file: {work}/zone", ""]
    (work / "knot.conf").write_text("\n".join(lines))
    with server(program("knotd"), "-c", work / "knot.conf") as process:
        for _ in range(100):
            if subprocess.run([program("knotc"), "-s", work / "control", "zone-status", place.zone], capture_output=True).returncode == 0:
                break
            time.sleep(0.05)
        shell(text, "knotc", f"-b -s {work}/control", work)
        return ask(place, port, process)


def unbound(text, place, work):
    port = free_port()
    rest = [f"interface: 127.0.0.1@{port}", 'chroot: ""', 'username: ""', 'pidfile: ""', f"directory: {work}", "use-syslog: no", "do-daemonize: no"]
    (work / "unbound.conf").write_text("\n    ".join([text.rstrip("\n"), *rest]) + "\nremote-control:\n    control-enable: no\n")
    with server(program("unbound"), "-d", "-c", work / "unbound.conf") as process:
        return ask(place, port, process)


def dnsmasq(text, place, work):
    port = free_port()
    (work / "conf").write_text(one_line(text) + "\n")
    options = ["--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=", "--pid-file="]
    with server(program("dnsmasq"), "--keep-in-foreground", "-C", work / "conf", f"--port={port}", *options) as process:
        name, _, record = ask(place, port, process)
        return name, None, record


READERS = {
    "zone": zone,
    "value": value,
    "quoted": quoted,
    "json": json_,
    "nsupdate": nsupdate,
    "route53": route53,
    "cloudflare": cloudflare,
    "flarectl": flarectl,
    "google": google,
    "azure": azure,
    "terraform-aws": terraform_aws,
    "terraform-cloudflare": terraform_cloudflare,
    "terraform-google": terraform_google,
    "terraform-azure": terraform_azure,
    "terraform-digitalocean": terraform_digitalocean,
    "terraform-hetzner": terraform_hetzner,
    "octodns": octodns,
    "dnscontrol": dnscontrol,
    "tinydns": tinydns,
    "pdnsutil": pdnsutil,
    "cpanel": cpanel,
    "knotc": knotc,
    "unbound": unbound,
    "dnsmasq": dnsmasq,
}
