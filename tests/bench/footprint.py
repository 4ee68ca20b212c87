"""What a broker weighs: memory, binaries, and the time until it is of use."""

import json
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

import brokers
from brokers import BUILD, ENVIRONMENT, ROOT, SLUICIFY, Broker, children, memory, run_load

CONNECTIONS = 1000
HELLO = struct.pack("<III", 0x534C4358, 2, 4)


def family(pid):
    """The broker and its workers and copiers, together."""
    all_of_it = [memory(process) for process in [pid, *children(pid)]]
    return {"processes": len(all_of_it),
            "private": sum(each["private"] for each in all_of_it),
            "resident": sum(each["resident"] for each in all_of_it)}


def settle(pid):
    """Waits until the process sleeps: what it does at its start is over."""
    for _ in range(200):
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S":
            return
        time.sleep(0.005)


def agent_broker():
    """examples/agent.rules in a home of its own."""
    text = (ROOT / "examples/agent.rules").read_text()
    broker = Broker(text, "agent")
    (broker.folder / "work").mkdir()
    return broker


def with_connections(broker):
    """CONNECTIONS that have said hello and stay."""
    connections = []
    for _ in range(CONNECTIONS):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(str(broker.socket))
        connection.send(HELLO)
        if struct.unpack("<i", connection.recv(64)[8:12])[0] != 0:
            raise RuntimeError("HELLO was refused")
        connections.append(connection)
    return connections


def measure(large):
    """`large`: the binary of a broker with 10,000 rules."""
    result = {}
    environment = dict(ENVIRONMENT)
    with_agent = agent_broker()
    ENVIRONMENT.update(HOME=str(with_agent.folder), XDG_STATE_HOME=str(with_agent.folder / "state"))
    try:
        with with_agent as broker:
            settle(broker.process.pid)
            result["agent.rules, idle"] = memory(broker.process.pid)
            result["agent.rules, idle, with its workers"] = family(broker.process.pid)
            result["agent.rules, binary"] = os.stat(broker.binary).st_size
    finally:
        ENVIRONMENT.clear()
        ENVIRONMENT.update(environment)
    with Broker("", binary=large) as broker:
        settle(broker.process.pid)
        result["10,000 rules, idle"] = memory(broker.process.pid)
        result["10,000 rules, binary"] = os.stat(large).st_size
    with Broker(brokers.policy(brokers.CONFINED, "@FOLDER")) as broker:
        settle(broker.process.pid)
        pid = broker.process.pid
        result["3 rules, idle"] = memory(pid)
        done = 0
        while done < 10000:
            done += run_load([("x", "wire", broker.socket, brokers.PROGRAMS["static true"])],
                             8, 1, 500)["x"]["calls"]
        settle(pid)
        result["3 rules, after 10,000 calls"] = memory(pid)
        connections = with_connections(broker)
        settle(pid)
        result["3 rules, with 1,000 idle connections"] = memory(pid)
        for connection in connections:
            connection.close()
    # With a manifest of its own: a long one is read at the start, for calls that were lost.
    fresh = Broker(brokers.policy(brokers.CONFINED, "@FOLDER"))
    try:
        with open(fresh.folder / "said", "w") as said:
            start = subprocess.run(
                [BUILD / "tests/bench/start", "100", fresh.binary, fresh.folder / "s",
                 *brokers.PROGRAMS["static true"]],
                stdout=subprocess.PIPE, stderr=said, check=True, env=ENVIRONMENT)
    finally:
        fresh.close()
    result["start"] = json.loads(start.stdout)
    result["sluicify, binary"] = os.stat(SLUICIFY).st_size
    print_result(result)
    return result


def print_result(result):
    print("\nfootprint")
    for name, value in result.items():
        if isinstance(value, int):
            print(f"  {name:<44}{value:>10,} bytes")
        elif name == "start":
            print(f"  {'start to serving':<44}{value['serves_us'] / 1000:>10.2f} ms")
            print(f"  {'start to the end of the first call':<44}"
                  f"{value['first_call_us'] / 1000:>10.2f} ms")
        else:
            print(f"  {name:<44}{value['private'] / 1024:>10,.0f} KiB private "
                  f"{value['resident'] / 1024:>8,.0f} KiB resident", flush=True)
