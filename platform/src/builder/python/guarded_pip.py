"""Runs pip so that it builds nothing from source but the named packages, and fetches nothing from version control.

--only-binary counts for what pip finds in an index. It does not count for an address that a package's own metadata names
("Requires-Dist: name @ https://...tar.gz", "name @ git+https://..."), whose setup.py pip would run.
Arguments: the names that may be built, separated by commas; then pip's own.
"""

import os
import runpy
import sys

import pip  # first, so that its absence is told as such
from pip._internal.distributions.sdist import SourceDistribution
from pip._internal.exceptions import InstallationError
from pip._vendor.packaging.utils import canonicalize_name

VERSION_CONTROL = {"git", "hg", "svn", "bzr", "brz"}

named = {canonicalize_name(each) for each in sys.argv[1].split(",") if each}
prepare = SourceDistribution.prepare_distribution_metadata


def guarded(self, *args, **kwargs):
    name = canonicalize_name(self.req.name or "")
    if name not in named:
        raise InstallationError(
            f"{self.req.req} is source and would have to be built, which runs its code: choose a version of what needs it that takes it from the package index"
            + (f', or name {name} in build.installScripts' if name else "")
        )
    return prepare(self, *args, **kwargs)


def refuse_version_control(event, args):
    if event == "subprocess.Popen" and os.path.basename(os.fsdecode(args[0] or args[1][0])) in VERSION_CONTROL:
        raise InstallationError(
            f"a package needs another one from version control ({' '.join(map(str, args[1]))[:200]}): packages come from an index; publish it, or put its code into the function's folder"
        )


SourceDistribution.prepare_distribution_metadata = guarded
sys.addaudithook(refuse_version_control)
sys.argv[:] = ["pip", *sys.argv[2:]]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
