"""The caption decoder against GPT-2 as transformers has it."""

from functools import partial

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from export.networks import caption_decoder
from export.precision import halve
from export.slots.paper.caption_decoder import restore
from export.spec import FP16_TOLERANCE, FP32_TOLERANCE

COUNTS = (0, 20, 7, 1)
CONFIGURATION = partial(GPT2Config, n_layer=2, vocab_size=300)


@pytest.fixture(scope="module")
def reference() -> tuple[nn.Sequential, GPT2LMHeadModel]:
    """Return a mapper and a GPT-2 of two layers, with random weights of some size."""
    torch.manual_seed(0)
    mapper = nn.Sequential(nn.Linear(512, 3840), nn.Tanh(), nn.Linear(3840, 7680))
    gpt = GPT2LMHeadModel(CONFIGURATION())
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.mul_(3)
    return mapper.eval(), gpt.eval()


@pytest.fixture(scope="module")
def state(reference: tuple[nn.Sequential, GPT2LMHeadModel]) -> dict[str, torch.Tensor]:
    """Return the weights as the authors' file names them, with the constants that it stores."""
    mapper, gpt = reference
    named = {f"clip_project.model.{name}": value for name, value in mapper.state_dict().items()}
    named |= {f"gpt.{name}": value for name, value in gpt.state_dict().items()}
    for layer in range(2):
        attention = f"gpt.transformer.h.{layer}.attn"
        named[f"{attention}.bias"] = torch.ones(1, 1, 1024, 1024, dtype=torch.bool).tril()
        named[f"{attention}.masked_bias"] = torch.tensor(-1e4)
    return named


@pytest.fixture
def decoder(
    state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> caption_decoder.CaptionDecoder:
    monkeypatch.setattr(caption_decoder, "GPT2Config", CONFIGURATION)
    monkeypatch.setattr(caption_decoder, "read_checkpoint", lambda _: state)
    return restore("conceptual_weights.pt")  # type: ignore[arg-type]


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    feature = torch.randn(len(COUNTS), 512, generator=source)
    tokens = torch.randint(0, 300, (len(COUNTS), 20), generator=source)
    return feature, tokens, torch.tensor(COUNTS, dtype=torch.int32)[:, None]


def test_every_row_is_what_gpt2_says_to_it_alone(
    reference: tuple[nn.Sequential, GPT2LMHeadModel], decoder: caption_decoder.CaptionDecoder
) -> None:
    mapper, gpt = reference
    feature, tokens, counts = inputs()
    with torch.inference_mode():
        (found,) = decoder(feature, tokens, counts)
        for row, count in enumerate(COUNTS):
            prefix = mapper(feature[row]).reshape(1, 10, 768)
            words = gpt.transformer.wte(tokens[row : row + 1, :count])
            logits = gpt(inputs_embeds=torch.cat([prefix, words], dim=1)).logits
            largest = (found[row] - logits[0, -1]).abs().max()
            assert largest <= FP32_TOLERANCE * logits[0, -1].abs().max()
    assert (found[0] - found[1]).abs().max() > 1


def test_what_comes_after_the_count_does_not_matter(
    decoder: caption_decoder.CaptionDecoder,
) -> None:
    feature, tokens, counts = inputs()
    others = torch.where(torch.arange(20) < counts, tokens, 0)
    assert not torch.equal(others, tokens)
    with torch.inference_mode():
        expected, found = decoder(feature, tokens, counts)[0], decoder(feature, others, counts)[0]
    torch.testing.assert_close(found, expected)


def test_half_precision_answers_in_float32(decoder: caption_decoder.CaptionDecoder) -> None:
    with torch.inference_mode():
        (expected,), (found,) = decoder(*inputs()), halve(decoder)(*inputs())
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= FP16_TOLERANCE * expected.abs().max()
