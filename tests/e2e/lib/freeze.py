#!/usr/bin/env python3
"""Holds one thread of a process still, by its name, until standard input ends."""
import ctypes
import pathlib
import sys

SEIZE, INTERRUPT = 0x4206, 0x4207

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

process, name = sys.argv[1:]
for task in pathlib.Path(f"/proc/{process}/task").iterdir():
    if (task / "comm").read_text().strip() != name:
        continue
    for request in (SEIZE, INTERRUPT):
        if libc.ptrace(request, int(task.name), None, None) != 0:
            sys.exit(f"ptrace: errno {ctypes.get_errno()}")
    print("frozen", flush=True)
    sys.stdin.read()  # its end ends this program, which lets the thread go
    sys.exit(0)
sys.exit(f"no thread {name}")
