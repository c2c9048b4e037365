"""Writes wherever it can, by every way to a file there is; tells where it could."""
import json
import mmap
import os
import sys

orders = json.loads(sys.argv[1])
MARK = b"attacked"
written = []


def attempt(title, act, *args):
    try:
        act(*args)
        written.append(title)
    except (OSError, ValueError):
        pass


def make(folder):
    path = os.path.join(folder, ".attacked")
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    os.unlink(path)


def overwrite(path):
    fd = os.open(path, os.O_WRONLY)
    os.close(fd)


def mapped(path):
    with open(path, "rb") as file:
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_WRITE).close()


def through_descriptor(path):
    fd = os.open(path, os.O_RDONLY)
    os.close(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY))


def renamed(path):
    os.rename(path, path + "~")
    os.rename(path + "~", path)


def linked(path, folder):
    link = os.path.join(folder, "link")
    os.link(path, link)
    os.unlink(link)


def write(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


own = tuple(orders["own"])
for folder, folders, _ in os.walk("/"):
    if folder.startswith(("/proc", *own)):
        folders.clear()
    else:
        attempt(folder, make, folder)
for file in orders["files"]:
    for way in (overwrite, mapped, through_descriptor, renamed):
        attempt(f"{way.__name__} {file}", way, file)
    attempt(f"overwrite {file} by the root", overwrite, f"/proc/self/root{file}")
    attempt(f"overwrite {file} by the first process", overwrite, f"/proc/1/root{file}")
    attempt(f"chmod {file}", os.chmod, file, 0o777)
    attempt(f"truncate {file}", os.truncate, file, 0)
    attempt(f"date {file}", os.utime, file, (1, 1))
    attempt(f"remove {file}", os.unlink, file)
    for folder in own:
        attempt(f"link {file} to {folder}", linked, file, folder)
attempt("first program", overwrite, "/proc/1/exe")
for path, text in orders["settings"].items():
    attempt(path, write, path, text)
print(json.dumps({"written": written}))
