"""A small ICC profile of the Display-P3 primaries, made from its numbers."""

import struct

# Adapted to D50, as profiles have them; columns red, green, blue (ICC.1:2022, E.3; SMPTE EG 432-1).
P3_XYZ = {"r": (0.51512, 0.24120, -0.00105), "g": (0.29198, 0.69225, 0.04189), "b": (0.15710, 0.06657, 0.78407)}
D50 = (0.9642, 1.0, 0.8249)
GAMMA = 2.2


def display_p3() -> bytes:
    """An ICC v2 profile with these primaries and a plain power as its curve."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(GAMMA * 256)) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">I", 11) + b"Display P3\0" + bytes(78)
    tags = {b"desc": text, b"wtpt": _xyz(D50), b"cprt": b"text" + bytes(4) + b"none\0"}
    tags |= {f"{name}XYZ".encode(): _xyz(values) for name, values in P3_XYZ.items()}
    tags |= {f"{name}TRC".encode(): curve for name in P3_XYZ}
    table, data, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", offset + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    header = struct.pack(">I4s4s4s4s4s", 128 + len(body), bytes(4), b"\x02\x40\0\0", b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", *(round(65536 * value) for value in D50))
    return header + bytes(128 - len(header)) + body


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">iii", *(round(65536 * value) for value in values))
