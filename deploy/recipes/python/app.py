"""A program that reads its configuration at its start and again at SIGHUP.

app.py FILE HOST:PORT
"""

import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def parse(text):
    settings = json.loads(text)
    if not settings["greeting"] or int(settings["limit"]) < 1:
        raise ValueError("greeting is empty, or limit is below 1")
    return settings


class Current:
    """The settings in use, and how many were taken."""

    def __init__(self, path):
        self.path, self.loads = path, 0
        self.load()

    def load(self):
        with open(self.path, encoding="utf-8") as file:
            self.settings = parse(file.read())
        self.loads += 1


def reload_for_ever(current, wanted):
    while True:
        wanted.wait()
        wanted.clear()
        try:
            current.load()
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"the file is refused and the one before stays: {error!r}", file=sys.stderr)


class Handler(BaseHTTPRequestHandler):
    current = None

    def answer(self, status, text=""):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/":
            self.answer(200, self.current.settings["greeting"])
        elif self.path == "/status":
            # What Rehup asks whether the program is ready, and whether a reload worked.
            self.answer(200, json.dumps({"loads": self.current.loads}))
        else:
            self.answer(404)

    def do_POST(self):
        if self.path != "/check":
            return self.answer(404)
        # What Rehup asks before it shows a new file to anybody.
        try:
            parse(self.rfile.read(int(self.headers["Content-Length"])))
        except (ValueError, KeyError, TypeError) as error:
            return self.answer(422, repr(error))
        self.answer(200)

    def log_message(self, *_):
        pass


def main():
    path, address = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    # The handler only tells a thread: it may come while a lock is held.
    wanted = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: wanted.set())
    current = Current(path)
    threading.Thread(target=reload_for_ever, args=(current, wanted), daemon=True).start()
    Handler.current = current
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


main()
