"""An interactive bash in a pseudo-terminal, driven over stdin, for tests of job control.

Prints the pid of the shell on the first line; then passes what comes on stdin to the terminal, and what the terminal
shows to stdout. Ends when the shell ends or stdin closes.
"""
import os, pty, select, sys

pid, terminal = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
os.write(1, b"%d\n" % pid)
watched = [0, terminal]
while True:
    ready, _, _ = select.select(watched, [], [])
    if terminal in ready:
        try:
            shown = os.read(terminal, 65536)
        except OSError:
            shown = b""
        if not shown:
            break
        os.write(1, shown)
    if 0 in ready:
        typed = os.read(0, 65536)
        if not typed:
            break
        os.write(terminal, typed)
