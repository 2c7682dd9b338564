"""A digest of Python code that changes when the code does something else, and not when it is only described better.

Resuming a run, reusing measured costs and finding packed data all require the very code that made them. A digest of the
files' bytes would make every mended comment void them.
"""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path


def source_digest(root: Path, files: Iterable[Path]) -> str:
    """64 hexadecimal digits over the syntax trees of Python `files` and their paths below `root`, in sorted order.

    Docstrings, comments, layout and quoting do not count; names, values, annotations and file names do. The digest is
    the same under every Python version that parses a file to the same tree, as 3.11 and 3.13 do (3.12.1 still puts
    empty strings into nested f-strings). `ast.dump` would not do: since 3.13 it leaves empty lists out.
    Raises SyntaxError and OSError.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        tree = " ".join(_spell(ast.parse(path.read_bytes(), path), []))
        # The length keeps one file's end and the next one's start apart.
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(tree)}\0{tree}".encode())
    return digest.hexdigest()


def _spell(node: ast.AST, words: list[str]) -> list[str]:
    """`words` and those of a tree, without positions, which are attributes and not fields."""
    words.append(f"({type(node).__name__}")
    for name, value in ast.iter_fields(node):
        parts = [part for part in (value if isinstance(value, list) else [value]) if not _is_docstring(part)]
        # Absent and empty fields say nothing, and newer versions of Python add some. `kind` is the u of u"text".
        if parts in ([], [None]) or name == "kind":
            continue
        words.append(f"{name}=")
        for part in parts:
            if isinstance(part, ast.AST):
                _spell(part, words)
            else:
                words.append(repr(part))
        words.append(";")  # ends a list, so that no item can pass into the next field
    words.append(")")
    return words


def _is_docstring(node: object) -> bool:
    """Whether a node is a bare string: a docstring, or the text under a constant. Running it does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
