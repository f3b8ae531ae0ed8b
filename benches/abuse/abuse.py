"""Measures what abuse costs: see run.sh. Exit 1 when a figure is past its bound."""

import json
import multiprocessing
import os
import select
import selectors
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

# What the figures must stay below.
# A kernel whose queue is full drops the first packet of a connection; its sender tries again after 1 s and 3 s.
GOOD_WAIT_S_MAX = 5.0
MEMORY_KB_MAX = 20_000
FRAMES_CPU_S_MAX = 2.0

# Lines of one partner in the memory test, and streams a line may have.
LINES, STREAMS = 50, 100

# Connections that the crowd keeps open at a time, and for how long each crowd is watched.
CROWD, CROWD_S = 1_000, 8.0

HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CHECKPOINT = "/liaison.v1.LogService/GetCheckpoint"
COLLECT = "/liaison.v1.ExchangeService/Collect"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(value, bits, first=0):
    """An integer with a prefix of so many bits (RFC 7541, section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + [value])


def header(name, value):
    """A header in full, kept in no table (RFC 7541, section 6.2.2)."""
    text = lambda text: integer(len(text), 7) + text
    return b"\0" + text(name.encode()) + text(value.encode())


def call(method):
    pairs = [(":method", "POST"), (":scheme", "https"), (":path", method), (":authority", "hub-1")]
    return b"".join(header(*pair) for pair in pairs + [("content-type", "application/grpc"), ("te", "trailers")])


class Node:
    """A node with partners FR and KE in a folder of its own."""

    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory(prefix="liaison-abuse-")
        run = lambda *words: subprocess.run([program, *words, "--folder", self.folder.name], check=True, stdout=subprocess.DEVNULL)
        run("init", "--listen", "127.0.0.1:0")
        run("partner", "add", "FR")
        run("partner", "add", "KE")
        self.log = open(self.path("node.log"), "wb")
        self.process = subprocess.Popen(
            [program, "serve", "--output", "json", "--config", self.path("hub.toml")],
            stdout=subprocess.PIPE, stderr=self.log)
        ready = json.loads(self.process.stdout.readline())
        host, port = ready["address"].rsplit(":", 1)
        self.address = (host, int(port))

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def tls(self, partner):
        context = ssl.create_default_context(cafile=self.path("pki/ca.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.path(f"partners/{partner}/tls.pem"), self.path(f"partners/{partner}/tls.key"))
        context.set_alpn_protocols(["h2"])
        return context

    def line(self, context, source=None, timeout=20.0):
        tcp = socket.create_connection(self.address, timeout=timeout, source_address=(source, 0) if source else None)
        line = context.wrap_socket(tcp, server_hostname="hub-1")
        line.sendall(PREFACE + frame(SETTINGS, 0, 0))
        return line

    def status_kb(self, field):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(field))

    def memory_begins(self):
        """Resident memory now; its high-water mark begins anew."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as refs:
            refs.write("5")
        return self.status_kb("VmRSS:")

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        self.folder.cleanup()


def answer(line, stream=1):
    """Reads until a stream ends; gives what came in its headers, raw."""
    reader, block = line.makefile("rb"), b""
    while True:
        head = reader.read(9)
        if len(head) < 9:
            raise ConnectionError("the line ended")
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        payload = reader.read(length)
        if int.from_bytes(head[5:], "big") == stream:
            if kind == HEADERS:
                block += payload
            if kind == RST_STREAM or flags & END_STREAM:
                return block


def good_call(node, context, source):
    """A new line and an answer on it, and how long both took."""
    begun = time.monotonic()
    line = node.line(context, source)
    request = frame(HEADERS, END_HEADERS, 1, call(CHECKPOINT)) + frame(0, END_STREAM, 1, bytes(5))
    line.sendall(request)
    answer(line)
    took = time.monotonic() - begun
    line.close()
    return took


class Crowd(multiprocessing.Process):
    """Strangers from so many addresses, who keep as many connections open as they can, and say `words` on each. In a process of
    their own, so that the caller waits for the node and not for them."""

    def __init__(self, node, addresses, words):
        super().__init__(daemon=True)
        self.address, self.words = node.address, words
        self.over, self.opened = multiprocessing.Event(), multiprocessing.Value("q", 0)
        self.sources = [f"127.0.{1 + nth // 200}.{1 + nth % 200}" for nth in range(addresses)]

    def run(self):
        selector, open_now, opened = selectors.DefaultSelector(), set(), 0
        while not self.over.is_set():
            while len(open_now) < CROWD:
                tcp = socket.socket()
                tcp.setblocking(False)
                try:
                    tcp.bind((self.sources[opened % len(self.sources)], 0))
                    tcp.connect_ex(self.address)
                except OSError:
                    tcp.close()
                    break
                opened += 1
                open_now.add(tcp)
                selector.register(tcp, selectors.EVENT_READ | (selectors.EVENT_WRITE if self.words else 0))
                if opened % 50 == 0:
                    break
            self.opened.value = opened
            for key, events in selector.select(0.001):
                tcp = key.fileobj
                try:
                    if events & selectors.EVENT_WRITE:
                        tcp.send(self.words)
                        selector.modify(tcp, selectors.EVENT_READ)
                    elif not tcp.recv(65536):
                        raise ConnectionError
                except BlockingIOError:
                    pass
                except OSError:
                    selector.unregister(tcp)
                    open_now.discard(tcp)
                    tcp.close()
        for tcp in open_now:
            tcp.close()


def client_hello():
    """The first words of a client that means to go on."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="hub-1")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def door(program):
    hello, good = client_hello(), True
    crowds = [("nobody", 0, b""), ("silent, 4 addresses", 4, b""), ("silent, 200 addresses", 200, b""),
              ("one byte, 4 addresses", 4, hello[:1]), ("one byte, 200 addresses", 200, hello[:1]),
              ("half a ClientHello, 200 addresses", 200, hello[:100]),
              ("a ClientHello, 4 addresses", 4, hello), ("a ClientHello, 200 addresses", 200, hello)]
    print("a good caller's wait for a line and an answer, in ms")
    print(f"{'beside':36} {'calls':>6} {'failed':>6} {'median':>8} {'worst':>8} {'strangers':>10}")
    for name, addresses, words in crowds:
        node = Node(program)
        crowd = Crowd(node, addresses, words) if addresses else None
        if crowd:
            crowd.start()
            time.sleep(1.0)
        context, waits, failed, ends = node.tls("FR"), [], 0, time.monotonic() + CROWD_S
        while time.monotonic() < ends:
            try:
                waits.append(good_call(node, context, "127.0.9.9"))
            except OSError:
                failed += 1
        if crowd:
            crowd.over.set()
            crowd.join()
        median, worst = (statistics.median(waits) * 1e3, max(waits) * 1e3) if waits else (float("inf"),) * 2
        print(f"{name:36} {len(waits):6} {failed:6} {median:8.1f} {worst:8.1f} {crowd.opened.value if crowd else 0:10}", flush=True)
        good &= failed == 0 and worst <= GOOD_WAIT_S_MAX * 1e3
        node.stop()
    return good


def large_headers(kind):
    """16 KiB of headers as HTTP/2 counts them, 32 bytes an entry beside name and value: what is said once, and in each call."""
    if kind == "one":
        return b"", header("x", "y" * 15_000)
    if kind == "many":
        return b"", b"".join(header(f"x{nth}", "y") for nth in range(410))
    # Kept in the table by the first call, and named by one byte from then on (RFC 7541, sections 6.1 and 6.2.1).
    if kind == "named":
        return b"\x40\1x\1y", b"\xbe" * 430
    # Below what a node takes.
    if kind == "taken":
        return b"\x40\1x\1y", b"\xbe" * 90
    return b"\x40\1x" + integer(3_000, 7) + b"y" * 3_000, b"\xbe" * 5


def crowd_of_calls(node, context, kind, reads, done):
    once, block = large_headers(kind)
    line, bytes_ = node.line(context), b""
    for nth in range(STREAMS):
        said = call(COLLECT) + (once if nth == 0 else b"") + block
        pieces = [said[at : at + 16_000] for at in range(0, len(said), 16_000)]
        for part, piece in enumerate(pieces):
            ends = END_HEADERS if part == len(pieces) - 1 else 0
            bytes_ += frame(HEADERS if part == 0 else CONTINUATION, ends, 2 * nth + 1, piece)
    if reads:
        while push(line, bytes_) and not done.is_set():
            bytes_ = b""
            select.select([line], [], [], 0.1)
    else:
        try:
            line.sendall(bytes_)
        except OSError:
            pass
        done.wait()
    line.close()


def headers(program):
    good = True
    print(f"growth of memory by {LINES} lines with {STREAMS} calls each, in kB")
    for name, kind in [("one header of 15 kB", "one"), ("410 headers in full", "many"),
                       ("430 headers of one byte each", "named"), ("5 headers of 3 kB, one byte each", "named large")]:
        for reads in (True, False):
            node = Node(program)
            context = node.tls("KE")
            for _ in range(20):
                good_call(node, context, None)
            before, done = node.memory_begins(), threading.Event()
            lines = [threading.Thread(target=crowd_of_calls, args=(node, context, kind, reads, done)) for _ in range(LINES)]
            for line in lines:
                line.start()
            time.sleep(4.0)
            grown = node.status_kb("VmHWM:") - before
            print(f"{name + ('' if reads else ', answers unread'):52} {grown:8}", flush=True)
            good &= grown <= MEMORY_KB_MAX
            done.set()
            for line in lines:
                line.join()
            node.stop()
    return good


# Each kind of frame again and again: a name, what is sent first, and what then for the nth time.
OPEN = frame(HEADERS, END_HEADERS, 1, call(COLLECT))
FLOODS = [
    ("WINDOW_UPDATE of the connection", b"", lambda nth: frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1")),
    ("WINDOW_UPDATE of a stream", OPEN, lambda nth: frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1")),
    ("RST_STREAM of one stream", OPEN, lambda nth: frame(RST_STREAM, 0, 1, b"\0\0\0\10")),
    ("HEADERS and RST_STREAM", b"", lambda nth: frame(HEADERS, END_HEADERS, 2 * nth + 1, call(COLLECT))
     + frame(RST_STREAM, 0, 2 * nth + 1, b"\0\0\0\10")),
    ("SETTINGS", b"", lambda nth: frame(SETTINGS, 0, 0, b"\0\3\0\0\0\x64")),
    ("SETTINGS acknowledged", b"", lambda nth: frame(SETTINGS, 1, 0)),
    ("PING", b"", lambda nth: frame(PING, 0, 0, b"12345678")),
    ("PING answered", b"", lambda nth: frame(PING, 1, 0, b"12345678")),
    ("PRIORITY", b"", lambda nth: frame(2, 0, 2 * nth + 1, b"\0\0\0\0\7")),
    ("empty DATA", OPEN, lambda nth: frame(0, 0, 1)),
    ("DATA of one byte", OPEN, lambda nth: frame(0, 0, 1, b"\0")),
    ("empty CONTINUATION", frame(HEADERS, 0, 1, call(COLLECT)), lambda nth: frame(CONTINUATION, 0, 1)),
    ("a kind that nobody knows", b"", lambda nth: frame(0x2a, 0, 0, b"x")),
    ("PRIORITY_UPDATE", b"", lambda nth: frame(0x10, 0, 0, b"\0\0\0\1u=1")),
    ("GOAWAY", b"", lambda nth: frame(7, 0, 0, b"\0\0\0\0\0\0\0\0")),
]
FLOOD_BYTES = 16 << 20


def frames(program):
    good = True
    node = Node(program)
    context = node.tls("KE")
    print(f"{'flood':36} {'cut off':>8} {'kB sent':>8} {'node cpu s':>10}")
    for name, first, again in FLOODS:
        before, line = node.cpu_s(), node.line(context)
        sent, nth, cut = 0, 0, not push(line, first)
        while sent < FLOOD_BYTES and not cut:
            burst = b"".join(again(nth + one) for one in range(200))
            cut = not push(line, burst)
            sent, nth = sent + len(burst), nth + 200
        # What is on its way may still be too much.
        ends = time.monotonic() + 2.0
        while not cut and time.monotonic() < ends:
            select.select([line], [], [], 0.1)
            cut = not push(line, b"")
        line.close()
        spent = node.cpu_s() - before
        print(f"{name:36} {'yes' if cut else 'no':>8} {sent // 1000:8} {spent:10.2f}", flush=True)
        good &= cut and spent <= FRAMES_CPU_S_MAX
    node.stop()
    return good


def push(line, data):
    """Writes all of it and reads what there is, on one thread. False: the line is over."""
    line.setblocking(False)
    try:
        while True:
            try:
                while line.recv(65536):
                    pass
                return False
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            if not data:
                return True
            try:
                data = data[line.send(data) :]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([line], [line], [], 0.1)
    except OSError:
        return False


def main():
    program, *wanted = sys.argv[1:]
    program = os.path.abspath(program)
    measures = {"door": door, "headers": headers, "frames": frames}
    results = [measures[name](program) for name in wanted or measures]
    sys.exit(0 if all(results) else 1)


main()
