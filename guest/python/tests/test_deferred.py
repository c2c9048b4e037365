"""Imports that wait: an idle guest does without them, user code gets the real ones."""

import subprocess
import sys
import unittest

PROGRAM = """
import sys
from colibri_guest.deferred import import_asyncio
asyncio = import_asyncio()
import colibri_guest.guest
assert not {"ssl", "inspect", "asyncio.sslproto"} & set(sys.modules), "imported early"
held = asyncio.base_events.ssl
import ssl, inspect
assert type(ssl).__name__ == "module" and inspect.iscoroutinefunction(asyncio.sleep)
assert held.SSLContext is ssl.SSLContext, "what asyncio holds forwards to the real one"
async def fails():
    await asyncio.open_connection("127.0.0.1", 1, ssl=ssl.create_default_context())
try:
    asyncio.run(fails())
except ConnectionError:
    print("fine")
"""


class Deferred(unittest.TestCase):
    def test_heavy_modules_wait_until_they_are_used(self):
        done = subprocess.run([sys.executable, "-S", "-c", PROGRAM], capture_output=True, text=True)
        self.assertEqual((done.stdout, done.stderr), ("fine\n", ""))
