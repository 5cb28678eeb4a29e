"""Runs one program that nobody has read, tells what it prints and how it ends, and is over.

    python3 -I -B runner --port 8080 --work /work     in a pod; the key is in $KADRE_SANDBOX_KEY
    python3 -I -B runner --stdio --work /work         on a laptop, in what bubblewrap has put up
"""
import argparse
import asyncio
import os
import signal
import sys

import confine
import http_door
import stdio_door


def main() -> int:
    options = arguments()
    try:
        confine.guard_self()
    except confine.Unsafe as error:
        print(f"runner: {error}", file=sys.stderr)
        return 3
    # Of what the code sends to the runner, nothing but a request to end is heard.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if options.stdio:
        return asyncio.run(stdio_door.serve(options.work, options.patience))
    key = os.environ.pop("KADRE_SANDBOX_KEY", "")
    if not key:
        print("runner: KADRE_SANDBOX_KEY is not set", file=sys.stderr)
        return 3
    return asyncio.run(http_door.serve(options.host, options.port, key, options.work, options.patience))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="runner")
    parser.add_argument("--stdio", action="store_true")
    parser.add_argument("--host", default="")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--work", required=True)
    parser.add_argument("--patience", type=float, default=10, help="seconds for which a slow reader is waited for")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
