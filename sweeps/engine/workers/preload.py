"""Modules that Ray's worker processes import as soon as they start; see ray_session.py.

The garbage collector is off meanwhile: it would take a fifth of the time that importing torch takes, and find nothing.
"""

import gc
import importlib

gc.disable()
for _name in ("sweeps.engine.workers.worker", "sweeps.engine.workers.ray_actor"):
    importlib.import_module(_name)
# What has been imported stays until the end: later collections need not look through it.
gc.freeze()
gc.enable()
