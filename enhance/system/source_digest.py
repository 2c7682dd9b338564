"""A digest of Python code that changes when the code's behavior may change, but not when only its comments do.

Resuming a run, reusing measured costs and finding packed data all require exactly the code that produced them. A digest
of the files' bytes would void them with every corrected comment.
"""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path


def source_digest(root: Path, files: Iterable[Path]) -> str:
    """64 hexadecimal digits over the syntax trees of Python `files` and their paths relative to `root`, sorted.

    Docstrings, comments, layout and quoting style do not count; names, values, annotations and file names do. The
    digest is the same in every Python version that parses a file to the same tree, as 3.11 and 3.13 do (3.12.1 still
    adds empty strings to nested f-strings). `ast.dump` is not stable enough: since 3.13 it omits empty lists.

    Raises SyntaxError and OSError.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        tree = " ".join(_spell(ast.parse(path.read_bytes(), path), []))
        # The length separates the end of one file from the start of the next.
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(tree)}\0{tree}".encode())
    return digest.hexdigest()


def _spell(node: ast.AST, words: list[str]) -> list[str]:
    """Append a tree to `words` and return them. Positions are attributes of a node, not fields, and so left out."""
    words.append(f"({type(node).__name__}")
    for name, value in ast.iter_fields(node):
        parts = [part for part in (value if isinstance(value, list) else [value]) if not _is_docstring(part)]
        # Newer Pythons add fields, empty in old code, so empty ones are skipped. `kind` is the u of u"text".
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
    """Whether a node is a bare string: a docstring, or the text under a constant. It has no effect when run."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
