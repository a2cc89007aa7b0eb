#!/usr/bin/env python3
"""Checks under strace that a writer answers only what is on the medium.

Runs the test `faults::kill::child` with one thread, which submits events one after the other and says
"ack" for each answer in one write. In the trace, before the n-th ack, n times an fdatasync of the
head's data file must have succeeded that began after the file was written, nothing written to it
or to the objects' data file may be without one, and n checkpoints must have been renamed into place.

Fails if strace is missing or traces nothing.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

COUNT = 300
CALLS = "write,pwrite64,pwritev,fdatasync,fsync,sync_file_range,rename,renameat,renameat2"
LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)$")


def test_binary():
    """Builds the tests; gives the path of their binary."""
    command = ["cargo", "test", "--no-run", "--test", "tests", "--message-format=json"]
    built = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "tests":
            return message["executable"]
    sys.exit("strace: cargo built no test binary")


def run(binary, variables, *tracer):
    arguments = ["--exact", "--ignored", "--nocapture"]
    environment = {**os.environ, **variables}
    name = "faults::kill::" + ("child" if tracer else "make_folder")
    subprocess.run([*tracer, binary, name, *arguments], check=True, env=environment,
                   stdout=subprocess.DEVNULL)


def calls(trace):
    """Gives (begin, end, call) for each finished call, by line numbers, in the order of the ends."""
    begun = {}
    for number, line in enumerate(trace):
        pid, resumed, rest = LINE.match(line.rstrip("\n")).groups()
        if rest.endswith("<unfinished ...>"):
            begun[pid] = (number, rest)
        elif resumed:
            begin, first = begun.pop(pid)
            yield begin, number, first + rest
        else:
            yield number, number, rest


def main():
    if shutil.which("strace") is None:
        sys.exit("strace: not installed")
    binary = test_binary()
    with tempfile.TemporaryDirectory() as folder:
        ledger, trace = os.path.join(folder, "ledger"), os.path.join(folder, "trace")
        variables = {"GIFTPROOF_TEST_FOLDER": ledger, "GIFTPROOF_TEST_RUN": "0",
                     "GIFTPROOF_TEST_THREADS": "1", "GIFTPROOF_TEST_COUNT": str(COUNT)}
        run(binary, variables)
        run(binary, variables, "strace", "-f", "-y", "-s", "256", "-o", trace, "-e",
            "trace=" + CALLS)
        objects, head = (os.path.realpath(os.path.join(ledger, "log", name, "db")) + ">"
                         for name in ("objects", "recent"))
        checkpoint = f'"{os.path.join(ledger, "checkpoint")}"'
        acks = syncs = checkpoints = 0
        unsynced = {}  # by file, where the last write ended that no fdatasync has followed
        with open(trace, encoding="utf-8", errors="replace") as lines:
            for begin, end, call in calls(lines):
                done = not re.search(r"= -1 E", call)
                data = next((file for file in (objects, head) if file in call), None)
                if call.startswith("write(1<") and "ready" in call:
                    syncs = checkpoints = 0
                elif call.startswith(("write(", "pwrite")) and data:
                    if data == head and objects in unsynced:
                        sys.exit(f"strace: line {begin + 1} of the trace writes a head before its "
                                 "objects are synced")
                    unsynced[data] = end
                elif call.startswith("fdatasync(") and data:
                    if done and data in unsynced and begin > unsynced[data]:
                        syncs += data == head
                        del unsynced[data]
                elif call.startswith("rename") and checkpoint in call:
                    checkpoints += done
                elif call.startswith("write(1<") and '"ack ' in call:
                    acks += 1
                    where = f"ack {acks} (line {begin + 1} of the trace)"
                    if syncs < acks or unsynced:
                        sys.exit(f"strace: {where} came before its fdatasync")
                    if checkpoints < acks:
                        sys.exit(f"strace: {where} came before its checkpoint")
        if acks != COUNT:
            sys.exit(f"strace: {acks} acknowledgements in the trace instead of {COUNT}")
        print(f"strace: {acks} acknowledgements, each after its fdatasync and its checkpoint")


if __name__ == "__main__":
    main()
