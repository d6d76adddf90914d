#!/usr/bin/python3
"""Calls a real and a fake supervisord alike and compares what came: types, member names, order of
members, fault codes and texts, HTTP headers. compare.py REAL_SOCKET FAKE_SOCKET REAL_NAME FAKE_NAME
prints one line a comparison, "ok NAME" or "not ok NAME: why"."""

import http.client
import re
import socket
import sys
import xmlrpc.client


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def call(connection, method, params, more=None):
    """Status, header names, the body's text and what it means."""
    connection.request("POST", "/RPC2", xmlrpc.client.dumps(params, method),
                       {"Content-Type": "text/xml", **(more or {})})
    answer = connection.getresponse()
    text = answer.read().decode()
    meaning = None
    try:
        if answer.status == 200:
            meaning = xmlrpc.client.loads(text)[0][0]
    except xmlrpc.client.Fault as fault:
        meaning = fault
    headers = sorted(name for name, _ in answer.getheaders())
    return answer.status, headers, text, meaning


def skeleton(text):
    """The XML without what is in its values: same tags, same whitespace, same member names."""
    text = re.sub(r"(<(int|string|boolean)>)[^<]*", r"\1", text)
    # Lists of like things count once.
    whole = None
    while whole != text:
        whole = text
        text = re.sub(r"((?:<value>(?:(?!<value>).)*?</value>\n?))\1+", r"\1", text,
                      flags=re.DOTALL)
        text = re.sub(r"(<value><struct>.*?</struct></value>\n)\1+", r"\1", text, flags=re.DOTALL)
    return text


def main():
    real, fake = Connection(sys.argv[1]), Connection(sys.argv[2])
    names = sys.argv[3], sys.argv[4]
    running = object()
    calls = [
        ("supervisor.getState", ()), ("supervisor.getSupervisorVersion", ()),
        ("supervisor.getAPIVersion", ()), ("supervisor.getIdentification", ()),
        ("supervisor.getPID", ()), ("supervisor.getAllProcessInfo", ()),
        ("supervisor.getProcessInfo", (running,)), ("supervisor.getProcessInfo", ("none",)),
        ("supervisor.getProcessInfo", ()), ("supervisor.getProcessInfo", ("a", "b")),
        ("supervisor.getAllConfigInfo", ()), ("supervisor.reloadConfig", ()),
        ("supervisor.startProcess", (running,)), ("supervisor.startProcess", ("none",)),
        ("supervisor.signalProcess", (running, "CONT")),
        ("supervisor.signalProcess", (running, "SIGCONT")),
        ("supervisor.signalProcess", (running, "18")),
        ("supervisor.signalProcess", (running, "NONSENSE")),
        ("supervisor.sendProcessStdin", (running, "text")),
        ("supervisor.tailProcessStdoutLog", (running, 0, 100)),
        ("supervisor.tailProcessStderrLog", (running, 0, 0)),
        ("supervisor.readProcessStdoutLog", (running, 0, 10)),
        ("supervisor.readProcessStdoutLog", (running, -10, 0)),
        ("supervisor.readProcessStdoutLog", (running, -10, 10)),
        ("supervisor.readProcessStdoutLog", (running, 0, -1)),
        ("supervisor.readProcessStderrLog", (running, 0, 10)),
        ("supervisor.clearProcessLogs", (running,)), ("supervisor.clearProcessLogs", ("none",)),
        ("supervisor.stopProcess", (running,)), ("supervisor.stopProcess", (running,)),
        ("supervisor.getProcessInfo", (running,)),
        ("supervisor.signalProcess", (running, "CONT")),
        ("supervisor.sendProcessStdin", (running, "text")),
        ("supervisor.startProcess", (running, False)), ("supervisor.stopProcess", (running,)),
        ("supervisor.startProcess", (running,)),
        ("supervisor.stopProcessGroup", (running,)), ("supervisor.startProcessGroup", (running,)),
        ("supervisor.stopProcessGroup", ("none",)),
        ("supervisor.removeProcessGroup", (running,)), ("supervisor.addProcessGroup", (running,)),
        ("supervisor.removeProcessGroup", ("none",)), ("supervisor.addProcessGroup", ("none",)),
        ("supervisor.stopProcess", (running,)), ("supervisor.removeProcessGroup", (running,)),
        ("supervisor.getProcessInfo", (running,)), ("supervisor.addProcessGroup", (running,)),
        ("supervisor.noSuchMethod", ()), ("nonsense", ()),
        ("system.multicall", ([{"methodName": "supervisor.getState", "params": []},
                               {"methodName": "supervisor.getProcessInfo", "params": ["none"]},
                               {"methodName": "system.multicall", "params": []}],)),
    ]
    for method, params in calls:
        here, there = (call(connection, method,
                            tuple(name if p is running else p for p in params))
                       for connection, name in ((real, names[0]), (fake, names[1])))
        title = f"{method}({', '.join('NAME' if p is running else repr(p) for p in params)})"
        why = ""
        if here[:2] != there[:2]:
            why = f"{here[:2]} and {there[:2]}"
        elif here[0] != 200:
            pass
        elif isinstance(here[3], xmlrpc.client.Fault):
            texts = [fault.faultString.replace(name, "NAME") if
                     isinstance(fault, xmlrpc.client.Fault) else repr(fault)
                     for fault, name in ((here[3], names[0]), (there[3], names[1]))]
            if texts[0] != texts[1] or here[3].faultCode != there[3].faultCode:
                why = " and ".join(texts)
        elif skeleton(here[2]) != skeleton(there[2]):
            why = f"{skeleton(here[2])!r} and {skeleton(there[2])!r}"
        elif isinstance(here[3], (bool, int)) and not method.endswith("getPID"):
            why = "" if here[3] == there[3] else f"{here[3]} and {there[3]}"
        print(f"not ok {title}: {why}" if why else f"ok {title}")

    # Both close when asked to, as they must after an answer whose length is wrong.
    closing = [call(connection, "supervisor.getState", (), {"Connection": "close"})[1]
               for connection in (real, fake)]
    print("ok Connection: close" if closing[0] == closing[1] else f"not ok {closing}")
    known = set(call(real, "system.listMethods", ())[3])
    invented = [name for name in call(fake, "system.listMethods", ())[3] if name not in known]
    print(f"not ok the fake invents {invented}" if invented else "ok system.listMethods")


main()
