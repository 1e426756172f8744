"""What the scripts of this folder share: building, proxies under test, load runs, and an end that leaves nothing behind."""

import atexit
import ctypes
import glob
import json
import os
import random
import resource
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))
SUBJECTS = ("relay", "sidecar", "recorder", "haproxy", "nginx")
# What is `lanekeeper run`.
SIDECARS = {"sidecar", "recorder"}
# CubeFS proto/packet.go: Magic, ExtentType, Opcode, ResultCode, RemainingFollowers, CRC, Size, ArgLen, PartitionID, ExtentID,
# ExtentOffset, ReqID, KernelOffset.
HEADER = struct.Struct(">BBBBBIIIQQqqQ")
REQUEST, OK = 0x00, 0xF0
STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """Something that ends the run; its text is for the user."""


def main(body):
    """Runs a script's body: every process it started is gone when it returns, however it returns."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        sys.exit(body())
    except Failure as failure:
        print(f"{os.path.basename(sys.argv[0])}: {failure}", file=sys.stderr)
        sys.exit(1)


# Files ------------------------------------------------------------------------------------------------------------------

_scratch = None


def scratch():
    """A directory that lives as long as the script."""
    global _scratch
    if _scratch is None:
        _scratch = tempfile.mkdtemp(prefix="lanekeeper-bench-")
        atexit.register(shutil.rmtree, _scratch, ignore_errors=True)
    return _scratch


def write(name, text):
    path = os.path.join(scratch(), name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


# Programs ---------------------------------------------------------------------------------------------------------------


def ensure(packages):
    """Installs Debian packages for what is missing: {package: path or program that it brings}."""
    missing = [name for name, brings in packages.items() if not (os.path.exists(brings) or shutil.which(brings))]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failure(f"missing: {' '.join(missing)}; install them (apt-get install {' '.join(missing)})")
    print(f"installing {' '.join(missing)}", file=sys.stderr)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    # A freshly installed web server must not open a port of its own; without systemd its start may fail, too.
    policy = "/usr/sbin/policy-rc.d"
    own_policy = not os.path.exists(policy)
    if own_policy:
        with open(policy, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
    try:
        for attempt in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            done = subprocess.run(["apt-get", "-q", *attempt], env=environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0 and attempt[0] == "install":
                raise Failure(f"apt-get install {' '.join(missing)} failed:\n{done.stdout[-2000:]}")
    finally:
        if own_policy:
            os.unlink(policy)


def ensure_for(subjects):
    packages = {}
    if "haproxy" in subjects:
        packages["haproxy"] = "/usr/sbin/haproxy"
    if "nginx" in subjects:
        packages["nginx"] = "/usr/sbin/nginx"
        packages["libnginx-mod-stream"] = STREAM_MODULE
    ensure(packages)


class Programs:
    """Where the products of the package are."""

    def __init__(self, directory, subjects):
        wanted = ["lanekeeper-bench"] + (["lanekeeper"] if SIDECARS & set(subjects) else [])
        if directory is None:
            # Release and static, as it is shipped; a private build directory, so that no other build is disturbed.
            build = ["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", REPOSITORY,
                     "--scratch-path", os.path.join(REPOSITORY, ".build-bench")]
            for product in wanted:
                print(f"building {product}", file=sys.stderr)
                done = subprocess.run([*build, "--product", product], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, check=False)
                if done.returncode != 0:
                    raise Failure(f"swift build --product {product} failed:\n{done.stdout[-4000:]}")
            directory = subprocess.run([*build, "--show-bin-path"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        for product in wanted:
            if not os.access(os.path.join(directory, product), os.X_OK):
                raise Failure(f"no program {product} in {directory}")
        self.bench = os.path.join(directory, "lanekeeper-bench")
        self.lanekeeper = os.path.join(directory, "lanekeeper")

    def strip(self):
        """Uses copies without symbols: valgrind gives up on some of the compiler's debugging information."""
        for name in ("bench", "lanekeeper"):
            path = getattr(self, name)
            if os.path.exists(path):
                copy = os.path.join(scratch(), os.path.basename(path))
                subprocess.run(["strip", "-o", copy, path], check=True)
                setattr(self, name, copy)


# Processes --------------------------------------------------------------------------------------------------------------

_libc = ctypes.CDLL(None, use_errno=True)
_running = []


def _child_setup(cpu):
    def setup():
        os.setsid()
        # The child ends with the script, even where the script is killed.
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
    return setup


def start(command, cpu=None, environment=None, **pipes):
    """Starts a process in a group of its own, on processor `cpu`."""
    # preexec_fn is safe here: the scripts have one thread.
    process = subprocess.Popen(command, preexec_fn=_child_setup(cpu), text=True,  # pylint: disable=subprocess-popen-preexec-fn
                               env=dict(os.environ, **(environment or {})), **pipes)
    _running.append(process)
    return process


def stop(process, patience=10):
    """SIGTERM to the process, and SIGKILL to what is left of its group."""
    if process in _running:
        _running.remove(process)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


@atexit.register
def _stop_all():
    for process in list(_running):
        stop(process, patience=1)


def wait_until(condition, what, seconds=20.0):
    """Polls until `condition()` is true; its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds:g} s: {what}")
        time.sleep(0.005)


def processes_of(pid):
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        for path in glob.glob(f"/proc/{parent}/task/*/children"):
            try:
                with open(path, encoding="ascii") as file:
                    found += [int(word) for word in file.read().split()]
            except OSError:
                pass
    return found


def cpu_nanoseconds(pid):
    """CPU time of all threads of a process and its descendants, as the scheduler counts it."""
    total = 0
    for process in processes_of(pid):
        for path in glob.glob(f"/proc/{process}/task/*/schedstat"):
            with open(path, encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total


def settled_cpu_nanoseconds(pid):
    """The same, once the process has gone to sleep."""
    before = cpu_nanoseconds(pid)
    for _ in range(50):
        time.sleep(0.002)
        now = cpu_nanoseconds(pid)
        if now == before:
            return now
        before = now
    return before


def status_kib(pid, *names):
    """Fields of /proc/PID/status that are counted in KiB."""
    fields = {}
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in names:
                fields[name] = int(value.split()[0])
    return [fields[name] for name in names]


# Network ----------------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def exactly(connection, count, buffer):
    """Reads that many bytes; whole reads, as CubeFS's io.ReadFull does."""
    view = memoryview(buffer)[:count]
    while view:
        got = connection.recv_into(view)
        if got == 0:
            raise Failure("the stream ended early")
        view = view[got:]
    return buffer


def accepts(port):
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


# The echo peer and the proxies ------------------------------------------------------------------------------------------


class EchoPeer:
    def __init__(self, programs, cpu):
        self.process = start([programs.bench, "echo", "--listen", "127.0.0.1:0"], cpu, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line.startswith("listening "):
            raise Failure("the echo peer did not start")
        self.port = int(line.rsplit(":", 1)[1])


class Proxy:
    """A proxy between a free port and the echo peer. `sections` are YAML, put behind the sidecar's own."""

    def __init__(self, subject, programs, echo_port, cpu=None, wrapper=(), environment=None, patience=20.0, sections=""):
        self.subject = subject
        self.sections = sections
        self.port = free_port()
        command = self.command(programs, self.port, echo_port, cpu)
        self._log = open(os.path.join(scratch(), f"{subject}-{self.port}.log"), "w+", encoding="utf-8", errors="replace")
        self.process = start([*wrapper, *command], cpu, environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self.pid = self.process.pid
        wait_until(lambda: self._ended() or accepts(self.port), f"{subject} listening on port {self.port}", patience)

    def command(self, programs, port, target, cpu):
        """What is started, as a list of words."""
        return getattr(self, f"_{self.subject}")(programs, port, target, cpu)

    def log_tail(self):
        self._log.seek(0)
        return self._log.read()[-2000:]

    def stop(self, patience=10):
        stop(self.process, patience)

    def _ended(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.subject} ended with status {self.process.returncode}:\n{self.log_tail()}")
        return False

    @staticmethod
    def _relay(programs, port, target, _):
        return [programs.bench, "relay", "--listen", f"127.0.0.1:{port}", "--target", f"127.0.0.1:{target}"]

    def _sidecar(self, programs, port, target, _):
        return [programs.lanekeeper, "run", "--config", write(f"sidecar-{port}.yaml", f"""\
node: bench
outbound:
  listeners:
    - listen: 127.0.0.1:{port}
      peer: 127.0.0.1:{target}
lanes:
  default:
    maxConnections: 1000
log:
  level: error
{self.sections}""")]

    def _recorder(self, programs, port, target, cpu):
        """The sidecar with its flight recorder."""
        self.sections += f"recorder: {{directory: {os.path.join(scratch(), 'evidence')}}}\n"
        return self._sidecar(programs, port, target, cpu)

    @staticmethod
    def _haproxy(_, port, target, __):
        return ["/usr/sbin/haproxy", "-db", "-f", write(f"haproxy-{port}.cfg", f"""\
global
    nbthread 1
    maxconn 4096
    tune.bufsize 262144
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port}
    server peer 127.0.0.1:{target}
""")]

    @staticmethod
    def _nginx(_, port, target, cpu):
        affinity = f"worker_cpu_affinity {1 << cpu:b};" if cpu is not None else ""
        return ["/usr/sbin/nginx", "-e", "/dev/null", "-p", scratch(), "-c", write(f"nginx-{port}.conf", f"""\
load_module {STREAM_MODULE};
daemon off;
worker_processes 1;
{affinity}
pid {scratch()}/nginx-{port}.pid;
error_log /dev/null emerg;
events {{
    use epoll;
    worker_connections 8192;
}}
stream {{
    access_log off;
    tcp_nodelay on;
    proxy_buffer_size 256k;
    proxy_timeout 1h;
    server {{
        listen 127.0.0.1:{port};
        proxy_pass 127.0.0.1:{target};
    }}
}}
""")]


# Load -------------------------------------------------------------------------------------------------------------------


class Cell:
    """A shape of request and a number of connections, written `ping:16`."""

    def __init__(self, text):
        shape, _, connections = text.partition(":")
        if shape not in ("ping", "block", "delete", "repair") or not connections.isdigit() or int(connections) < 1:
            raise Failure(f"`{text}` is no cell: write a shape and a number of connections, such as ping:1 or block:64")
        self.shape = shape
        self.connections = int(connections)

    @property
    def requests(self):
        """As many requests as one run needs to be worth its figure."""
        return 4_000 if self.shape in ("block", "repair") else 20_000

    def __str__(self):
        return f"{self.shape}:{self.connections}"


def cells(text):
    return [Cell(word) for word in text.split(",") if word]


class Load:
    """One run of the load generator, connected and warmed up; `run()` does the measured part, `close()` ends it."""

    def __init__(self, programs, port, cell, cpu=None, requests=None, seconds=None, rate=None, warmup=None):
        command = [programs.bench, "load", "--target", f"127.0.0.1:{port}", "--shape", cell.shape,
                   "--connections", str(cell.connections), "--json", "--gated"]
        for name, value in (("--requests", requests), ("--seconds", seconds), ("--rate", rate), ("--warmup", warmup)):
            if value is not None:
                command += [name, str(value)]
        self.process = start(command, cpu, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != "ready\n":
            raise Failure(f"the load generator failed to warm up ({' '.join(command)})")

    def run(self):
        """The report; the connections stay open."""
        self._release()
        line = self.process.stdout.readline()
        if not line:
            raise Failure("the load generator gave no report")
        return json.loads(line)

    def close(self):
        self._release()
        self.process.stdin.close()
        status = self.process.wait()
        stop(self.process)
        if status != 0:
            raise Failure("the load generator saw wrong replies")

    def _release(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def drive(programs, port, cell, requests, cpu=None, warmup=None):
    """A whole run in one call."""
    load = Load(programs, port, cell, cpu, requests=requests, warmup=warmup)
    report = load.run()
    load.close()
    return report


def measured_cpu(programs, proxy, cell, cpu, requests=None):
    """A run with the connections open before and after: nanoseconds of the proxy's CPU per request, and the report."""
    requests = requests or cell.requests
    load = Load(programs, proxy.port, cell, cpu, requests=requests, warmup=max(requests // 10, 4 * cell.connections))
    before = settled_cpu_nanoseconds(proxy.pid)
    report = load.run()
    used = settled_cpu_nanoseconds(proxy.pid) - before
    load.close()
    if used <= 0:
        raise Failure(f"{proxy.subject}: the kernel counted no CPU time; is /proc/PID/task/*/schedstat kept here?")
    return used / report["requests"], report


# Figures ----------------------------------------------------------------------------------------------------------------

RESAMPLES = 10_000


def interval(values, seed):
    """Median, and the 95% interval of it by resampling."""
    source = random.Random(seed)
    medians = sorted(statistics.median(source.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return statistics.median(values), medians[int(RESAMPLES * 0.025)], medians[int(RESAMPLES * 0.975) - 1]


def ratio(ones, others, seed):
    """The interval of what two have in each round, in pairs."""
    return interval([one / other for one, other in zip(ones, others)], seed)


def shown(figures):
    """An interval as text."""
    return "{:.3f} [{:.3f}, {:.3f}]".format(*figures)
