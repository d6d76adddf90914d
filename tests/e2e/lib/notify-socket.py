"""A service manager's notification socket: prints each datagram as a line of JSON.

    notify-socket.py PATH|@NAME

The first line says that it listens.
"""
import json
import socket
import sys

name = sys.argv[1]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind("\0" + name[1:] if name.startswith("@") else name)
print("listening", flush=True)
while True:
    text = manager.recv(65536).decode()
    print(json.dumps(dict(line.split("=", 1) for line in text.split("\n") if line)), flush=True)
