"""Image-adaptive 3D lookup tables: sizes, start, terms and the layout of the authors' files."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config import from_flat
from enhance.nets import build
from enhance.nets.fast.lookup import identity_table
from enhance.nets.fast.lut3d import LUT3D, official_state
from enhance.rules import build_rule
from tests.enhance.nets.small import count, noise
from tests.enhance.steps import train_step
from tests.golden.record_losses import SMALL, make_store


def small(**options: Any) -> LUT3D:
    net = build("lut3d", seed=0, **{"vertices": 4, "channels": 2, **options})
    assert isinstance(net, LUT3D)
    return net


def test_counts_are_those_of_the_authors_network() -> None:
    tables = 3 * 3 * 33**3
    convs = sum(9 * a * b + b for a, b in ((3, 16), (16, 32), (32, 64), (64, 128), (128, 128)))
    norms, last = 2 * (16 + 32 + 64 + 128), 64 * 128 * 3 + 3
    assert count(build("lut3d", seed=0)) == tables + convs + norms + last == 593_516


def test_it_starts_near_the_identity_or_as_the_authors_set_it() -> None:
    x = noise(2, 40, 24)
    with torch.no_grad():
        near, code = (build("lut3d", seed=1, init=init).eval()(x) for init in ("identity", "code"))
        for kind in ("trilinear", "tetrahedral"):
            net = small(lookup=kind).eval()
            nn.init.zeros_(net.last.weight)  # all weights 1: the sum of the identity and zeros
            torch.testing.assert_close(net(x), x, rtol=0, atol=1e-6)
    assert 0 < (near - x).square().mean().sqrt() < 0.03
    assert (code - x).square().mean().sqrt() > 0.03


def test_forward_by_hand() -> None:
    net, x = small(tables=2).eval(), noise(2, 30, 20)
    parameters = list(net.parameters())
    with torch.no_grad():
        for parameter in parameters:
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    tables, view = parameters.pop(0), F.interpolate(x, (256, 256), mode="bilinear")
    for layer in range(5):
        view = F.leaky_relu(F.conv2d(view, parameters.pop(0), parameters.pop(0), stride=2, padding=1), 0.2)
        if layer < 4:
            view = F.instance_norm(view, weight=parameters.pop(0), bias=parameters.pop(0))
    weights = F.conv2d(view, parameters.pop(0), parameters.pop(0)).flatten(1)
    assert not parameters
    cubes = torch.einsum("nt,trc->nrc", weights, tables).reshape(2, 4, 4, 4, 3).permute(0, 4, 1, 2, 3)
    # grid_sample's last axis is the first of (red, green, blue), in [-1, 1]
    places = (2 * x - 1).permute(0, 2, 3, 1)[:, None]
    expected = F.grid_sample(cubes, places, align_corners=True)[:, :, 0]
    torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-4)


def test_terms_are_those_of_the_formulas() -> None:
    net = small(tables=2, dropout=0.0, smoothness=0.5, monotonicity=3.0).train()
    with torch.no_grad():
        net.tables.normal_(generator=torch.Generator().manual_seed(5))
    x = noise(2, 16, 16)
    net(x)
    variation = falls = 0.0
    for table in net.tables.detach().unflatten(1, (4, 4, 4)):
        for axis in range(3):
            steps = table.movedim(axis, 0)[1:] - table.movedim(axis, 0)[:-1]
            doubled = torch.tensor([2.0, 1.0, 2.0]).view(3, 1, 1, 1)
            variation += float((doubled * steps.square()).mean())
            falls += float((-steps).clamp(min=0).mean())
    weights = net.last(net.features(F.interpolate(x, (256, 256), mode="bilinear"))).flatten(1)
    found = {name: (weight, value.item()) for name, (weight, value) in net.penalties().items()}
    assert found["smoothness"] == (0.5, pytest.approx(weights.square().mean().item() + variation, rel=1e-5))
    assert found["monotonicity"] == (3.0, pytest.approx(falls, rel=1e-5))
    rising = small()
    rising(x)
    assert rising.penalties()["monotonicity"][1].item() == 0  # neither the identity nor zeros fall anywhere


@pytest.mark.slow
def test_a_step_adds_the_terms_to_the_loss(tmp_path: Any) -> None:
    store = make_store(tmp_path / "noise.patches")
    leaves = {**SMALL, "net.family": "lut3d", "net.vertices": 4, "net.channels": 2, "net.smoothness": 2.0}
    for rule, losses in (("paired", {"loss.pixel": 1.0}), ("cycle", {"loss.cycle": 1.0})):
        config = from_flat({**leaves, **losses, "train.rule": rule})
        stats = train_step(build_rule(config, 0, store, torch.device("cpu")), 0)
        own, (term,) = ("smoothness", "monotonicity"), (name.partition(".")[2] for name in losses)
        assert stats.terms.keys() == {term, *own}
        expected = stats.terms[term] + 2.0 * stats.terms["smoothness"] + 10.0 * stats.terms["monotonicity"]
        torch.testing.assert_close(stats.total, expected)
        assert stats.terms["smoothness"] > (2 if rule == "cycle" else 1) * 0.9  # squares of weights near 1, a network


def official() -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """Files as the authors' training writes them, of seeded noise. Names are places in a list with other layers."""
    random = torch.Generator().manual_seed(6)
    widths, predictor = (3, 16, 32, 64, 128, 128), {}
    for layer in range(5):
        place = 1 if layer == 0 else 1 + 3 * layer
        predictor[f"model.{place}.weight"] = torch.randn(widths[layer + 1], widths[layer], 3, 3, generator=random)
        predictor[f"model.{place}.bias"] = torch.randn(widths[layer + 1], generator=random)
        if layer < 4:
            for kind in ("weight", "bias"):
                predictor[f"model.{place + 2}.{kind}"] = torch.randn(widths[layer + 1], generator=random)
    predictor["model.16.weight"] = torch.randn(3, 128, 8, 8, generator=random)
    predictor["model.16.bias"] = torch.randn(3, generator=random)
    tables = {str(number): {"LUT": torch.randn(3, 9, 9, 9, generator=random)} for number in range(3)}
    return tables, predictor


def test_the_authors_files_fit() -> None:
    tables, predictor = official()
    net = build("lut3d", seed=0, vertices=9)
    net.load_state_dict(official_state(tables, predictor))
    for own, theirs in zip(list(net.parameters())[1:], predictor.values(), strict=True):
        assert torch.equal(own, theirs)
    # In their tables the last axis is red.
    assert torch.equal(net.tables[1, 2 + 9 * 3 + 81 * 4], tables["1"]["LUT"][:, 4, 3, 2])
    line = identity_table(9)[2 + 9 * 3 + 81 * 4]
    torch.testing.assert_close(line, torch.tensor([2.0, 3.0, 4.0]) / 8)
    with pytest.raises(ValueError, match=r"not the predictor of 3 tables: model\.1\.weight \(16, 3, 3, 3\)"):
        official_state(tables, dict(list(predictor.items())[:-1]))
