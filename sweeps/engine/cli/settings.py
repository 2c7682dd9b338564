"""The settings of --set: leaves of the configuration that the command line fixes.

They are applied together, so that their order does not matter. A leaf that is set is no longer searched. A setting that
selects a variant, such as net.family=unet, removes what only other variants have: their leaves, searched or fixed, and
their named points. A resnet's settings mean nothing for a U-Net.

A leaf that only some of the searched variants have keeps its condition, and is given its one value there.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from enhance.config import VARIANTS, Domain, Scalar, domains, join_names, unknown_leaf, variants_with
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.space import Space, contains, inner, pinned, variants, without
from sweeps.engine.sweep import Sweep


def apply_settings(sweep: Sweep, texts: Sequence[str]) -> tuple[Sweep, str]:
    """The sweep with every setting NAME=VALUE applied, and in words what that changes besides the values ("": nothing).

    Of two settings of one name the later one counts. Raises UsageError with the problems of all settings, SweepError
    if the sweep cannot run with them.
    """
    if not texts:
        return sweep, ""
    frame = _with_variants(sweep, _read(texts))
    values = frame.values()
    space: Space = frame.space
    for name in _innermost_first(values, space):
        # A leaf that not every variant has must not be fixed: it stays searched, with one value.
        resolve = without if frame.everywhere(name) else pinned
        space = resolve(space, name, values[name])
    if not space:
        raise UsageError(f"--set {' '.join(texts)}: nothing is left for the sweep {sweep.name} to search")
    fixed = frame.fixed | {name: value for name, value in values.items() if name not in space}
    enqueue = _points(sweep, space, frame.selected, values)
    design = None if sweep.design is None else sweep.design.within(space)
    changed = dataclasses.replace(sweep, fixed=fixed, space=space, enqueue=enqueue, design=design)
    return changed, _words(sweep, changed, values)


@dataclass(frozen=True)
class _Frame:
    """What can be set, once the variants are `selected`. The other settings are still texts, in `asked`."""

    selected: Mapping[str, Scalar]
    asked: Mapping[str, str]
    fixed: dict[str, Scalar]
    space: Space

    def everywhere(self, name: str) -> bool:
        """Whether every variant that a trial may have has this leaf."""
        return all(name in known for known in _possible(name, self.space, self.fixed))

    def values(self) -> dict[str, Scalar]:
        """The value of every setting. Raises UsageError with all problems."""
        found = dict(self.selected)
        # A variant inside a variant: net.base, say, exists only with net.family=curve.
        problems = {name: self._missing(name) for name in self.selected if not self.everywhere(name)}
        for name, text in self.asked.items():
            known = self._domains(name)
            found[name] = known[0].parse(text) if known else text
            wrong = [problem for domain in known if (problem := domain.problem(name, found[name]))]
            if wrong or not known:
                problems[name] = wrong[0] if wrong else self._missing(name)
        _refuse({**self.selected, **self.asked}, problems)
        return found

    def _domains(self, name: str) -> list[Domain]:
        """The domains of a leaf that can be set, one for each choice of variants; none if it cannot."""
        known = _possible(name, self.space, self.fixed)
        # A searched leaf is set under its condition, so only the variants that fulfill it need to have the leaf.
        if name in self.space:
            known = [domains(given) for given in variants(name, self.space, self.fixed)]
        return [own[name] for own in known] if all(name in own for own in known) else []

    def _missing(self, name: str) -> str:
        """Why a leaf cannot be set here, and what to add."""
        key, owners = variants_with(name)
        if not owners:
            return unknown_leaf(name, _possible(name, self.space, self.fixed)[0])
        entry = self.space.get(key)
        here = f"this sweep searches {key}" if entry is not None else f"here {key}={self._variant(key)}"
        if entry is not None and not set(inner(entry).corners()) & set(owners):
            here += f" among {join_names(inner(entry).corners())}"
        return f"it belongs to {key}={' | '.join(owners)}, and {here}; add --set {key}={owners[0]}"

    def _variant(self, key: str) -> Scalar:
        return self.fixed.get(key, VARIANTS[key][2])


def _read(texts: Sequence[str]) -> dict[str, str]:
    """The settings by name."""
    for text in texts:
        if "=" not in text:
            raise UsageError(f"--set {text}: write NAME=VALUE, for example --set net.channels=32")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _with_variants(sweep: Sweep, asked: dict[str, str]) -> _Frame:
    """The sweep's leaves with the variants that are set, without those of others. Raises UsageError."""
    selected: dict[str, Scalar] = {name: asked[name] for name in VARIANTS if name in asked}
    choices = {name: Domain(kind=str, choices=tuple(VARIANTS[name][1])) for name in selected}
    wrong = {name: domain.problem(name, selected[name]) or "" for name, domain in choices.items()}
    _refuse(asked, {name: problem for name, problem in wrong.items() if problem})
    space, fixed = sweep.space, {**sweep.fixed, **selected}
    for name in _innermost_first(selected, space):
        space = without(space, name, selected[name])

    def exists(name: str) -> bool:
        return name in selected or any(name in known for known in _possible(name, space, fixed))

    gone = [name for name in (*space, *fixed) if selected and not exists(name)]
    kept = {name: entry for name, entry in space.items() if name not in gone}
    rest = {name: text for name, text in asked.items() if name not in selected}
    return _Frame(selected, rest, {name: value for name, value in fixed.items() if name not in gone}, kept)


def _innermost_first(values: Iterable[str], space: Space) -> list[str]:
    """The leaves, each before the one that its condition names: resolving that one first would remove it."""
    # A condition names an earlier entry of the space, so the order is the reverse of that. Leaves outside come last.
    order = list(space)
    return sorted(values, key=lambda name: -order.index(name) if name in space else 1)


def _possible(name: str, space: Space, fixed: Mapping[str, Scalar]) -> list[dict[str, Domain]]:
    """The domains of all leaves, for each choice of variants that a trial may have, whether it has `name` or not."""
    others = {leaf: entry for leaf, entry in space.items() if leaf != name}
    return [domains(given) for given in variants(name, others, fixed)]


def _points(
    sweep: Sweep, space: Space, selected: Mapping[str, Scalar], values: Mapping[str, Scalar]
) -> dict[str, dict[str, Scalar]]:
    """The named points, as far as they are points of the new space and of the selected variants."""
    found = {}
    for label, point in sweep.enqueue.items():
        kept = {name: values.get(name, value) for name, value in point.items() if name in space}
        if all(point.get(name, value) == value for name, value in selected.items()) and not contains(space, kept):
            found[label] = kept
    return found


def _words(before: Sweep, after: Sweep, values: Mapping[str, Scalar]) -> str:
    """What the settings change besides the values, for the plan."""
    gone = [name for name in (*before.space, *before.fixed) if name not in {**after.space, **after.fixed}]
    said = [
        ("no longer searched", [name for name in before.space if name in values]),
        ("left out, as part of other choices", gone),
        ("not tried first", [label for label in before.enqueue if label not in after.enqueue]),
    ]
    return "; ".join(f"{what}: {join_names(names)}" for what, names in said if names)


def _refuse(asked: Mapping[str, object], problems: Mapping[str, str]) -> None:
    """Raise UsageError if there are any problems, by the name of the setting."""
    said = [f"--set {name}={asked[name]}: {problem}" for name, problem in problems.items()]
    if said:
        raise UsageError(said[0] if len(said) == 1 else "\n  - ".join(["these settings cannot be made:", *said]))
