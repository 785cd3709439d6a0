"""The original design's second try, re-created from the post: a thread per tarpitted process. Pids on stdin."""

import os
import signal
import sys
import threading
import time

import psutil


def hobble(pid):
    while True:
        try:
            root = psutil.Process(pid)
            processes = [root] + root.children(recursive=False)
            for process in processes:
                os.kill(process.pid, signal.SIGSTOP)
            time.sleep(0.2)
            for process in processes:
                os.kill(process.pid, signal.SIGCONT)
        except (psutil.NoSuchProcess, ProcessLookupError):
            return
        time.sleep(0.01)


for line in sys.stdin:
    threading.Thread(target=hobble, args=(int(line),), daemon=True).start()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True:
    time.sleep(3600)
