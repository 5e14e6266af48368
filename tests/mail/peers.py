"""Real mail servers of other people, on loopback and throw-away: Postfix with its log, Dovecot with a mailbox over TLS."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.mail.servers import server_certificate
from tests.servers import NotHere, answers, wait_until
from workflow.cli.broker import free_port

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Postfix:
    """A server that takes mail from this machine for anybody and forgets it, but not in its log. What is routed to `virtual:`
    is kept in `maildir`. `certificate` is for localhost, and its own authority."""

    port: int
    log: Path
    maildir: Path
    certificate: Path


@dataclass(frozen=True)
class Dovecot:
    """A mailbox for any user with the password, over TLS only; `maildir` is where it keeps its messages."""

    port: int
    password: str
    maildir: Path
    certificate: Path


MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
virtual unix - n n - - virtual
"""
MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
maillog_file = {home}/mail.log
maillog_file_prefixes = {home}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
local_recipient_maps =
alias_maps =
default_transport = discard
relay_transport = discard
transport_maps = texthash:{home}/config/transport
myhostname = mail.example
virtual_mailbox_base = {home}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{group}
smtpd_tls_security_level = {tls}
smtpd_tls_chain_files = {key}, {certificate}
smtpd_tls_loglevel = 1
"""


@contextmanager
def running_postfix(home: Path, routes: Mapping[str, str] = MappingProxyType({}), *, tls: bool = False) -> Iterator[Postfix]:
    """A Postfix of its own beside whatever the machine runs. `routes` says where mail for some domains goes; with `tls`
    nothing is taken without STARTTLS.

    Raises NotHere without the program, or without root, which its master process needs.
    """
    program = shutil.which("postfix", path=SYSTEM)
    if program is None or os.geteuid() != 0:
        raise NotHere("Postfix is not installed, or this is not root (on Debian and Ubuntu: apt-get install postfix)")
    port = free_port()
    for each in ("config", "spool", "data", "mail"):
        (home / each).mkdir()
    shutil.chown(home / "data", "postfix")
    shutil.chown(home / "mail", "nobody", "nogroup")
    certificate, key = server_certificate(home)
    nobody = pwd.getpwnam("nobody")
    told = {"home": home, "certificate": certificate, "key": key, "user": nobody.pw_uid, "group": nobody.pw_gid}
    (home / "config" / "master.cf").write_text(MASTER.format(port=port))
    (home / "config" / "transport").write_text("".join(f"{domain} {route}\n" for domain, route in routes.items()))
    (home / "config" / "main.cf").write_text(MAIN.format(**told, tls="encrypt" if tls else "none"))
    command = [program, "-c", str(home / "config")]
    started = subprocess.run([*command, "start"], capture_output=True, text=True, timeout=60, check=False)
    try:
        wait_until(lambda: answers(port, b"220"), 30, f"Postfix answers {started.stderr}")
        yield Postfix(port, home / "mail.log", home / "mail" / "all", certificate)
    finally:
        subprocess.run([*command, "stop"], capture_output=True, timeout=60, check=False)


DOVECOT = """\
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{home}/certificate.pem
ssl_key = <{home}/key.pem
mail_location = maildir:{home}/mail
first_valid_uid = 0
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
auth_mechanisms = plain
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/mail
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
"""


@contextmanager
def running_dovecot(home: Path) -> Iterator[Dovecot]:
    """A Dovecot of its own. Raises NotHere without the program, or without root."""
    program = shutil.which("dovecot", path=SYSTEM)
    if program is None or os.geteuid() != 0:
        raise NotHere("Dovecot is not installed, or this is not root (on Debian and Ubuntu: apt-get install dovecot-imapd)")
    home.chmod(0o755)
    maildir = home / "mail"
    for folder in ("new", "cur", "tmp"):
        (maildir / folder).mkdir(parents=True)
    for path in (maildir, *maildir.iterdir()):
        shutil.chown(path, "nobody")
    certify(home)
    port, password = free_port(), "of-the-archive"
    settings = {"home": home, "port": port, "password": password, "user": "nobody", "group": "nogroup"}
    (home / "dovecot.conf").write_text(DOVECOT.format(**settings))
    server = subprocess.Popen([program, "-F", "-c", str(home / "dovecot.conf")], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port) or server.poll() is not None, 30, "Dovecot answers")
        yield Dovecot(port, password, maildir, home / "certificate.pem")
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()


def certify(home: Path) -> None:
    """A key, and a certificate for this machine that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    (home / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (home / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
