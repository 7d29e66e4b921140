"""Counts SIGHUP in a file: counter.py FILE catch|plain|ignore|block. Writes 0 when it is set up.

It leaves its parent, because descendants are never told, and ends when its input does.
"""

import ctypes
import os
import signal
import sys
import threading

path, mode = sys.argv[1], sys.argv[2]
count = 0


if os.fork():
    os._exit(0)


def end():
    sys.stdin.buffer.read()
    os._exit(0)


def note():
    with open(path, "w") as file:
        file.write(str(count))


def hup(*_):
    global count
    count += 1
    note()


if mode == "catch":
    signal.signal(signal.SIGHUP, hup)
elif mode == "ignore":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
elif mode == "block":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    mask = (1 << (signal.SIGHUP - 1)).to_bytes(128, "little")
    descriptor = ctypes.CDLL(None).signalfd(-1, mask, 0)
else:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
threading.Thread(target=end, daemon=True).start()
note()
while True:
    if mode == "block":
        os.read(descriptor, 128)
        hup()
    else:
        signal.pause()
