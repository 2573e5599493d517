"""Who is where, and how each is set up: addresses, domains, keys, the settings of both Postfixes and of the milters.

Every variation of Postfix that a scenario wants has a port or a recipient domain of its own, so that nothing has to
be reloaded between two messages.
"""

import os
import shutil
import subprocess

ADDRESSES = {
    "submit": "127.25.0.1",
    "mx": "127.25.0.2",
    "sink": "127.25.0.3",
    "inbox": "127.25.0.4",
    "seven": "127.25.0.5",
    "filter": "127.25.0.6",
    "milter": "127.25.0.7",
    "spy": "127.25.0.8",
    "insider": "127.25.0.10",
    "dns": "127.25.0.53",
    "outsider": "127.25.0.99",
}
# The servers that keep what Postfix sends: the world, what is behind the receiving Postfix,
# one of seven bits, and a content filter.
SINKS = {
    "sink": ("8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING", "SIZE 200000000"),
    "inbox": ("8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING", "SIZE 200000000"),
    "seven": ("PIPELINING", "SIZE 200000000"),
    "filter": ("8BITMIME", "SMTPUTF8", "PIPELINING", "SIZE 200000000"),
}
PASSWORDS = {"anna": "a-secret", "carl": "c-secret", "uwe": "u-secret"}
AUTHSERV_ID = "mx.test"

# The domains that sign; the first selector is that of an RSA key.
DOMAINS = {
    "example.com": ("rsa", "ed"),
    "example.org": ("rsa",),
    "xn--bcher-kva.example": ("rsa",),
    "submit.test": ("rsa",),
}
SENDER_LOGIN = {
    "anna": ["anna@example.com", "example.org"],
    "carl": ["carl@example.com"],
    "uwe": ["xn--bcher-kva.example"],
}
SPY_PORTS = {"signer": 9101, "verifier": 9102, "judge": 9103}
PROBE_PORT = 9110


def make_keys(keys, dkimkit, dns):
    """A new key store, its records published."""
    for domain, selectors in DOMAINS.items():
        for selector in selectors:
            make_key(keys, dkimkit, dns, domain, selector)
    return keys


def make_key(keys, dkimkit, dns, domain, selector, *options):
    algorithm = "ed25519" if selector.startswith("ed") else "rsa"
    size = ["-b", "2048"] if algorithm == "rsa" else []
    done = dkimkit.run("generate", "-d", domain, "-s", selector, "--algorithm", algorithm, *size, "--keys", keys, "--format", "value", "--activate", *options)
    if done.returncode != 0:
        raise SystemExit(f"generate: {done.stderr.decode(errors='replace')}")
    dns.publish(f"{selector}._domainkey.{domain}", done.stdout.decode().strip())


def milters(keys):
    """The tables of milter.toml of each."""
    verifying = {"authserv_id": AUTHSERV_ID, "remove_ids": ["also.mx.test"]}
    return {
        "signer": {
            "": {"mode": ["sign"], "keys": keys, "log": "why", "reload_every": "0s"},
            "signing": {"trusted_networks": ["127.0.0.1", ADDRESSES["insider"]]},
            "sender_login": SENDER_LOGIN,
        },
        "verifier": {"": {"mode": ["verify"], "log": "why"}, "verifying": verifying},
        "judge": {
            "": {"mode": ["verify"], "log": "why"},
            "verifying": {**verifying, "dns_timeout": "2s"},
            "verifying.actions": {"fail": "reject", "temperror": "tempfail", "none": "quarantine"},
        },
    }


def milter_address(place, name):
    """The signer listens on a path, the others on ports."""
    return str(place / "signer" / "socket") if name == "signer" else (ADDRESSES["milter"], SPY_PORTS[name])


def spied(name):
    return f"inet:{ADDRESSES['spy']}:{SPY_PORTS[name]}"


SUBMISSION = {"smtpd_sasl_auth_enable": "yes", "smtpd_relay_restrictions": "permit_sasl_authenticated,reject", "milter_macro_daemon_name": "ORIGINATING"}


def submit(_place, running):
    """Settings and services of the Postfix that takes in our users' mail and sends it."""
    settings = {
        "smtpd_milters": spied("signer"),
        "non_smtpd_milters": spied("signer"),
        "mynetworks": f"127.0.0.1 {ADDRESSES['insider']}",
        "relayhost": f"[{ADDRESSES['sink']}]",
        "transport_maps": "regexp:{place}/conf/transport",
        "cyrus_sasl_config_path": "{place}/conf/sasl",
        "inet_interfaces": ADDRESSES["submit"],
        # To this domain everybody may send through it, so that a stranger's mail leaves too.
        "relay_domains": "open.test",
    }
    services = [
        service(25),
        service(587, **SUBMISSION),
        # Without the spy, for what kills milters.
        service(2500, smtpd_milters=running["signer"].for_postfix),
        # What a filter takes in and hands back.
        service(2510, content_filter=f"smtp:[{ADDRESSES['filter']}]"),
        service(10026, receive_override_options="no_address_mappings"),
        *rewriting_services(),
        *probed_services(),
        # No conversion and no cutting of lines.
        "smtp-asis unix - - n - - smtp -o disable_mime_output_conversion=yes -o smtp_line_length_limit=0",
        "smtp-generic unix - - n - - smtp -o smtp_generic_maps=regexp:{place}/conf/generic",
        "smtp-checks unix - - n - - smtp -o smtp_header_checks=regexp:{place}/conf/smtp_checks",
    ]
    return settings, services


# Ports of the sending Postfix behind which cleanup(8) works with other settings.
CLEANUPS = {
    2521: {"canonical_maps": "regexp:{place}/conf/canonical"},
    2522: {"masquerade_domains": "example.com"},
    2523: {"header_checks": "regexp:{place}/conf/header_checks"},
    2524: {"milter_header_checks": "regexp:{place}/conf/milter_checks"},
    2525: {"always_add_missing_headers": "yes"},
    2526: {"header_size_limit": "1000000"},
}
MAPS = {
    "transport": "/@mx\\.test$/ smtp:[{mx}]\n/@seven\\.test$/ smtp:[{seven}]\n/@asis\\.test$/ smtp-asis:[{sink}]\n/@asis7\\.test$/ smtp-asis:[{seven}]\n"
    "/@generic\\.test$/ smtp-generic:[{sink}]\n/@checks\\.test$/ smtp-checks:[{sink}]\n",
    "canonical": "/^inner@example\\.com$/ outer@example.com\n",
    "generic": "/^anna@example\\.com$/ renamed@example.com\n",
    "header_checks": "/^X-Drop:/ IGNORE\n/^Subject: old$/ REPLACE Subject: new\n/^X-Mark:/ PREPEND X-Before: here\n",
    "smtp_checks": "/^Subject: old$/ REPLACE Subject: new\n",
    "milter_checks": "/^DKIM-Signature: (.*)$/ REPLACE DKIM-Signature: xchanged=1; $1\n",
}


def rewriting_services():
    lines = []
    for port, settings in CLEANUPS.items():
        options = "".join(f" -o {key}={value}" for key, value in settings.items())
        lines += [
            f"cleanup-{port} unix n - n - 0 cleanup{options}",
            service(port, cleanup_service_name=f"cleanup-{port}", local_header_rewrite_clients="permit_mynetworks"),
        ]
    return lines


def probed_services():
    """Where a milter listens that only does what it is told."""
    probe = {"smtpd_milters": f"inet:{ADDRESSES['spy']}:{PROBE_PORT}"}
    return [
        service(2509, **probe),
        service(2531, **probe, cleanup_service_name="cleanup-no-mime"),
        service(2532, **probe, smtpd_forbid_bare_newline="normalize", smtpd_forbid_bare_newline_exclusions=""),
        service(2533, **probe, smtpd_forbid_bare_newline="reject", smtpd_forbid_bare_newline_exclusions=""),
        service(2534, **probe, **SUBMISSION),
        service(2535, **probe, cleanup_service_name="cleanup-2526"),
        service(2536, **probe, cleanup_service_name="cleanup-stray"),
        service(2537, smtpd_milters=""),
        "cleanup-no-mime unix n - n - 0 cleanup -o disable_mime_input_processing=yes",
        "cleanup-stray unix n - n - 0 cleanup -o cleanup_replace_stray_cr_lf=no",
    ]


def mx(_place, _running):
    """Settings and services of the Postfix that receives from the world."""
    settings = {
        "smtpd_milters": spied("verifier"),
        "mynetworks": "127.0.0.1",
        "relay_domains": "mx.test",
        "relayhost": f"[{ADDRESSES['inbox']}]",
        "inet_interfaces": ADDRESSES["mx"],
        "smtp_line_length_limit": "0",
        "disable_mime_output_conversion": "yes",
    }
    services = [
        service(25, "mx"),
        service(2501, "mx", smtpd_milters=spied("judge")),
        # What comes in is not mended before the milter.
        service(2502, "mx", cleanup_service_name="cleanup-asis"),
        "cleanup-asis unix n - n - 0 cleanup -o disable_mime_input_processing=yes -o cleanup_replace_stray_cr_lf=no",
    ]
    return settings, services


def service(port, host="submit", **options):
    words = "".join(f" -o {key}={value}" for key, value in options.items())
    return f"{ADDRESSES[host]}:{port} inet n - n - - smtpd{words}"


def write_sasl(place):
    """Cyrus SASL with a database of its own, which Postfix's user may read; and the maps of `submit`."""
    home = place / "submit/conf"
    (home / "sasl").mkdir(parents=True)
    database = place / "submit/users"
    (home / "sasl/smtpd.conf").write_text(f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {database}\nmech_list: PLAIN LOGIN\n")
    for user, password in PASSWORDS.items():
        subprocess.run(["saslpasswd2", "-f", database, "-u", "submit.test", "-p", "-c", user], input=password.encode(), check=True, timeout=30)
    shutil.chown(database, "postfix")
    os.chmod(database, 0o600)
    for name, text in MAPS.items():
        (home / name).write_text(text.format(**ADDRESSES))
