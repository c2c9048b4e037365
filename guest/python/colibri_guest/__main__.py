"""Starts the guest: `python3 -E -s -S <guest>.pyz` in a sandbox, `python3 -m colibri_guest` in development."""

import os
import sys

if not __package__ and os.path.basename(os.path.dirname(os.path.abspath(__file__))) == "colibri_guest":
    # Run as `python3 path/to/colibri_guest`: the package is beside its folder, and its modules must not be importable bare.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from colibri_guest.start import main

main()
