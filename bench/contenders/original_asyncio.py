"""The original design, re-created from the post that describes it: one coroutine per tarpitted process, which walks the
process's tree with psutil each cycle, stops it, waits 200 ms, continues it, waits 10 ms. Pids on stdin."""

import asyncio
import os
import signal
import sys

import psutil


def tree(pid):
    root = psutil.Process(pid)
    return [root] + root.children(recursive=False)


async def hobble(pid):
    while True:
        try:
            processes = tree(pid)
            for process in processes:
                os.kill(process.pid, signal.SIGSTOP)
            await asyncio.sleep(0.2)
            for process in processes:
                os.kill(process.pid, signal.SIGCONT)
        except (psutil.NoSuchProcess, ProcessLookupError):
            return
        await asyncio.sleep(0.01)


async def main():
    await asyncio.gather(*(hobble(int(line)) for line in sys.stdin))


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
asyncio.run(main())
