"""Signals as events of the loop. The loop's own way complains when a thousand children end at once."""
import asyncio
import signal


def on(number: int, act) -> None:
    loop = asyncio.get_running_loop()
    waiting = []

    def heard(*_) -> None:
        if not waiting:
            waiting.append(number)
            loop.call_soon_threadsafe(answer)

    def answer() -> None:
        waiting.clear()
        act()

    signal.signal(number, heard)
