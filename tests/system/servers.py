"""Real servers from Debian's packages, in a world of their own: what the system tests identify and judge.

    with Lab() as lab:
        ...                                          # namespaces and addresses, see netns.py
        with running(host, SERVERS, tmp_path, {"LAX": "10.93.0.2"}):
            scanner.run(...)

A world is one process tree inside a network namespace, with PID, mount, IPC and UTS namespaces of its own: /run is new, /etc,
/tmp and the /var folders are overlays that vanish, so no file and no service of the machine is touched. Its first process is a
shell that `world_script` writes: set up, start, wait. Ending that one process by its id makes the kernel end every server.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from system.netns import Namespace

WORLD = "/run/world"
READY_SECONDS = 90.0
OVERLAYS = ("/etc", "/var/lib", "/var/log", "/var/spool", "/var/cache", "/tmp")
APART = ("--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc")
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Server:
    """How to start a server. In every text @D@ is its folder, @TLS@ the folder of keys, and other @WORDS@ are the world's.

    `programs` must be on the machine. `setup` is a shell script, `run` one command for each process. `endpoints` are what
    listens when it is ready, as `ss` prints them.
    """

    name: str
    programs: tuple[str, ...]
    endpoints: tuple[str, ...]
    run: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    setup: str = ""


def missing_programs(servers: Iterable[Server]) -> list[str]:
    """Programs that are not on this machine; empty when every server can be started."""
    wanted = {program for server in servers for program in (*server.programs, "unshare", "ss", "mount")}
    return sorted(program for program in wanted if shutil.which(program, path=SEARCH_PATH) is None)


@contextmanager
def running(where: Namespace, servers: Iterable[Server], folder: Path, words: Mapping[str, str]) -> Iterator[None]:
    """The servers run inside `where` for as long as the block lasts. `folder` takes their files and logs."""
    servers = tuple(servers)
    folder.chmod(0o755)  # servers drop their privileges and still read their files
    write_keys(folder / "tls")
    for server in servers:
        write_files(server, folder, words)
    (folder / "start").write_text(world_script(servers, folder, words))
    with (folder / "log").open("wb") as log:
        world = subprocess.Popen(
            ["ip", "netns", "exec", where.name, "unshare", *APART, "sh", "-eu", str(folder / "start")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": SEARCH_PATH, "LANG": "C.UTF-8"},
            start_new_session=True,
        )
    try:
        await_listeners(where, world, servers, folder, words)
        yield
    finally:
        os.kill(world.pid, signal.SIGKILL)  # unshare --kill-child: the shell goes too, and as PID 1 takes all servers along
        world.wait()
        await_end(where)


def await_listeners(
    where: Namespace, world: subprocess.Popen[bytes], servers: tuple[Server, ...], folder: Path, words: Mapping[str, str]
) -> None:
    wanted = {fill(endpoint, words, server.name): server.name for server in servers for endpoint in server.endpoints}
    deadline = time.monotonic() + READY_SECONDS
    while absent := wanted.keys() - listening(where):
        if time.monotonic() > deadline or world.poll() is not None:
            logs = "\n".join(tail(folder / name / "log") for name in sorted({wanted[e] for e in absent}))
            raise RuntimeError(f"not listening: {sorted(absent)}\n{tail(folder / 'log')}\n{logs}")
        time.sleep(0.2)


def await_end(where: Namespace) -> None:
    """Wait until the kernel has ended the last process in the namespace."""
    deadline = time.monotonic() + 20
    while subprocess.run(["ip", "netns", "pids", where.name], capture_output=True, text=True, check=False).stdout.split():
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes are left in {where.name}")
        time.sleep(0.05)


def listening(where: Namespace) -> set[str]:
    """Listening TCP endpoints of a namespace, as `10.93.0.2:80` or `[fd93::2]:80`; any address is `0.0.0.0:80`, `[::]:80`."""
    return {line.split()[3] for line in where.run("ss", "-Htln").splitlines()}


def tail(file: Path) -> str:
    return f"== {file}\n{file.read_text(errors='replace')[-1500:]}" if file.exists() else f"== no {file}"


def fill(text: str, words: Mapping[str, str], name: str) -> str:
    """A text with every @WORD@ replaced."""
    for word, value in (("D", f"{WORLD}/{name}"), ("TLS", f"{WORLD}/tls"), *words.items()):
        text = text.replace(f"@{word}@", value)
    return text


def write_files(server: Server, folder: Path, words: Mapping[str, str]) -> None:
    own = folder / server.name
    own.mkdir(mode=0o755)
    for name, text in server.files.items():
        (own / name).write_text(fill(text, words, server.name).lstrip("\n"))


def world_script(servers: Iterable[Server], folder: Path, words: Mapping[str, str]) -> str:
    """The shell script of a world: mounts, then every server by itself, so that one that fails does not stop the others."""
    lines = [
        "mount --make-rprivate /",
        # Bound first, so that writing to it reaches the machine although /tmp becomes an overlay.
        f"mount --bind {folder} /mnt",
        "mount -t tmpfs -o mode=755 tmpfs /run",
        f"mkdir -p {WORLD} /run/over /run/lock /run/user",
        f"mount --move /mnt {WORLD}",
    ]
    for top in OVERLAYS:
        name = f"/run/over/{top.strip('/').replace('/', '-')}"
        lines += [
            f"mkdir -m {'1777' if top.endswith('tmp') else '755'} {name} && mkdir {name}.work",
            f"mount -t overlay -o lowerdir={top},upperdir={name},workdir={name}.work overlay {top}",
        ]
    lines += ["hostname world.test", "chmod 1777 /run/lock", "mkdir -p -m 1777 /tmp/.X11-unix"]
    for server in servers:
        commands = [f"cd {WORLD}/{server.name}", fill(server.setup, words, server.name).strip()]
        commands += [f"{fill(command, words, server.name)} &" for command in server.run]
        body = "\n".join(filter(None, commands))
        lines.append(f"(\nset -x\n{body}\nwait\n) >{WORLD}/{server.name}/log 2>&1 </dev/null &")
    return "\n".join([*lines, "wait", ""])


def write_keys(folder: Path) -> None:
    """Certificates: `good` and `expired` sign themselves, `issued`, `ending` and `future` are signed by a CA of the world."""
    folder.mkdir(mode=0o755)
    now = dt.datetime.now(dt.UTC)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ca = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for name, begin, end in (
        ("good", -1, 365),
        ("expired", -400, -35),
        ("issued", -1, 365),
        ("ending", -80, 5),
        ("future", 30, 365),
    ):
        own = name in {"good", "expired"}
        issuer = f"{name}.world.test" if own else "World Test CA"
        days = (now + dt.timedelta(days=begin), now + dt.timedelta(days=end))
        certificate = sign(f"{name}.world.test", issuer, key, key if own else ca, days)
        (folder / f"{name}.pem").write_bytes(certificate)
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
        (folder / f"{name}.key").chmod(0o644)  # keys of a test that ends in a minute; every server may read them


def sign(
    name: str, issuer: str, key: rsa.RSAPrivateKey, signer: rsa.RSAPrivateKey, days: tuple[dt.datetime, dt.datetime]
) -> bytes:
    """A certificate for one name as PEM."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(days[0])
        .not_valid_after(days[1])
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
