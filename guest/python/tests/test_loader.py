"""What a handler names, and what is said when it is not there. Each in a process of its own: loading changes sys.path."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = """
import json, sys
from colibri_guest.loader import LoadFailure, load_function
try:
    function = load_function(sys.argv[1], sys.argv[2])
    result = {"answer": function.handler(None, None), "onLoop": function.on_loop}
    result["style"] = "asgi" if function.is_asgi else "wsgi" if function.is_app else "handler"
except LoadFailure as failure:
    result = {"name": failure.name, "message": str(failure), "stack": failure.stack}
print(json.dumps(result))
"""


class Loader(unittest.TestCase):
    def load(self, handler, files, program=PROGRAM):
        with tempfile.TemporaryDirectory() as root:
            for path, content in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w") as file:
                    file.write(content)
            command = [sys.executable, "-c", program, root, handler]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.stderr, "")
            return json.loads(done.stdout)

    def test_packages_come_after_the_root_and_before_pythons_own(self):
        files = {
            "main.py": "import own, colorsys\ndef handler(i, c): return [own.WHERE, colorsys.WHERE]",
            "own.py": "WHERE = 'root'",
            "_packages/own.py": "WHERE = 'packages'",
            "_packages/colorsys.py": "WHERE = 'packages'",
        }
        self.assertEqual(self.load("main.py", files)["answer"], ["root", "packages"])

    def test_a_file_in_a_folder_with_relative_imports_and_a_nested_export(self):
        files = {
            "shop/main.py": "from . import part\nclass Jobs:\n  @staticmethod\n  def run(i, c): return part.X, __name__",
            "shop/part.py": "X = 1",
        }
        self.assertEqual(self.load("shop/main#Jobs.run", files)["answer"], [1, "shop.main"])

    def test_a_file_named_like_a_module_of_pythons_own(self):
        for name in ("json.py", "json/mine.py", "xxsubtype.py", "not-a-name.py", "test.py"):
            result = self.load(name, {name: "def handler(i, c): return 'mine'"})
            self.assertEqual(result.get("answer"), "mine", name)

    def test_kinds(self):
        files = {
            "main.py": """
import functools
async def work(i, c): pass
partial = functools.partial(work)
class Asgi:
    async def __call__(self, scope, receive, send): pass
class Wsgi:
    def __call__(self, environ, start): pass
    def method(self, environ, start_response): pass
class Iterable:
    def __init__(self, environ, start_response): pass
async def stream(i, c):
    yield 1
def plain(i, c): pass
def spread(*args): pass
def wrapped(scope, receive, send): return work(scope, receive)
async def three(scope, receive, send): pass
api, legacy, nested = Asgi(), Wsgi(), Wsgi().method
""",
        }
        program = PROGRAM.replace("function.handler(None, None)", "0")
        expected = {
            "work": ("handler", True),
            "partial": ("handler", True),
            "stream": ("handler", True),
            "plain": ("handler", False),
            "spread": ("handler", False),
            "legacy": ("handler", False),
            "api": ("asgi", True),
            "three": ("asgi", True),
            "wrapped": ("asgi", True),
            "nested": ("wsgi", False),
            "Iterable": ("wsgi", False),
        }
        for name, style in expected.items():
            kind = self.load(f"main.py#{name}", files, program)
            self.assertEqual((kind.get("style"), kind.get("onLoop")), style, name)
        for name, style in (("legacy", "wsgi"), ("spread", "wsgi"), ("api", "asgi"), ("partial", "asgi")):
            for app in ("app", "application"):
                kind = self.load("app.py", {**files, "app.py": f"from main import {name} as {app}"}, program)
                self.assertEqual(kind.get("style"), style, f"{name} named {app}")

    def test_failures_say_what_would_be_right(self):
        cases = [
            ("main.py", {"main.py": "import nope"}, r"No module named 'nope' \(main.py:1\); name the package in requirements"),
            ("main.py", {"main.py": "handler = {}"}, r"'handler' in main.py is not a function but of type dict"),
            (
                "main.py",
                {"main.py": "def main(i, c): pass"},
                r"^main.py does not define 'handler'; it defines main. Define handler\(input, context\), or an ASGI application "
                r'app, or name another one in the configuration: "handler: main.py#main".$',
            ),
            (
                "a/b.py#nope",
                {"a/b.py": "class Jobs: pass\ndef run(i, c): pass"},
                r"it defines Jobs, run. Define nope\(input, context\), or name .*: \"handler: a/b.py#Jobs\".$",
            ),
            ("main.py", {"main.py": "x = 1"}, r"it defines none. Define handler\(input, context\), or an ASGI application app.$"),
            ("main.py", {"main.py": "import sys\nsys.exit(4)"}, r"called sys.exit\(4\) while it was loaded"),
            ("main.py", {"main.py": "init = 1\ndef handler(i, c): pass"}, r"'init' in main.py is not a function"),
            ("main.py", {"main.py": "def app(scope): pass"}, r"'app' in main.py is an ASGI 2 application"),
            ("main.py", {"main.py": "def app(): pass"}, r"'app' in main.py is neither an ASGI application .* nor a WSGI one"),
            ("main.py", {"main.py": "async def app(i, c): pass"}, r"'app' in main.py is asynchronous, but does not take"),
            ("main.py", {"main.py": "import bad", "bad.py": "\n\nx ="}, r"bad.py:3: .*: x ="),
            ("main.py", {"other.py": "", "a/b.py": ""}, r"there is no file 'main.py'; the bundle has other.py, a/b.py"),
        ]
        for handler, files, expected in cases:
            self.assertRegex(self.load(handler, files).get("message", "it loaded"), expected)

    def test_stacks_begin_with_the_users_frames(self):
        stack = self.load("main.py", {"main.py": "import part", "part.py": "def f():\n  1 / 0\nf()"})["stack"]
        self.assertRegex(stack, r'(?s)^Traceback[^\n]*\n  File "main.py", line 1.*\n  File "part.py", line 3.*ZeroDivisionError')
        self.assertNotIn("colibri_guest", stack)
