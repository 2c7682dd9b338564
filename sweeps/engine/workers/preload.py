"""What Ray's processes load before anybody asks them for anything; see ray_session.py.

The collector of garbage rests meanwhile: it takes a fifth of the time that loading torch needs, and finds nothing.
"""

import gc
import importlib

gc.disable()
for _name in ("sweeps.engine.workers.worker", "sweeps.engine.workers.ray_actor"):
    importlib.import_module(_name)
gc.freeze()
gc.enable()
