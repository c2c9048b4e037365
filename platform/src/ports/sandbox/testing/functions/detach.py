import subprocess


async def handler(input, context):
    """Answers the pid of a process that left the guest's group and session; told so, without an environment that tells where from."""
    hidden = {"env": {}, "cwd": "/"} if input == "hidden" else {}
    return str(subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, **hidden).pid)
