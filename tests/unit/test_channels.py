"""Channels are mixed as a listener hears them."""

import numpy as np
import pytest

from vemoclap_client.media._channels import ChannelMixer

TIMES_S = np.arange(16_000) / 16_000
SPEECH = 0.3 * np.sin(2 * np.pi * 440 * TIMES_S)
RUMBLE = np.sin(2 * np.pi * 50 * TIMES_S)
SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR")


def test_an_inverted_side_does_not_cancel() -> None:
    mixed = ChannelMixer().mix(np.stack([SPEECH, -0.99 * SPEECH]), ("FL", "FR"))
    np.testing.assert_array_equal(mixed, SPEECH)


def test_the_mean_over_channels_stays_where_it_does_not_cancel() -> None:
    music = 0.3 * np.sin(2 * np.pi * 900 * TIMES_S)
    for values in ([SPEECH, SPEECH], [SPEECH, music], [SPEECH, np.zeros(16_000)]):
        channels = np.stack(values)
        np.testing.assert_array_equal(
            ChannelMixer().mix(channels, ("FL", "FR")), channels.mean(axis=0)
        )


@pytest.mark.parametrize(("amplitude", "channels"), [(1.0, 5), (0.3, 6)])
def test_loud_effects_are_left_out(amplitude: float, channels: int) -> None:
    values = np.zeros((6, 16_000))
    values[SURROUND.index("FC")] = SPEECH
    values[SURROUND.index("LFE")] = amplitude * RUMBLE
    mixed = ChannelMixer().mix(values, SURROUND)
    spectrum = np.abs(np.fft.rfft(mixed)) / 8_000
    assert spectrum[440] == pytest.approx(0.3 / channels, rel=0.01)
    assert spectrum[50] == pytest.approx(0 if channels == 5 else amplitude / 6, abs=1e-9)


def test_silence_and_a_new_layout_are_mixed() -> None:
    mixer = ChannelMixer()
    assert not mixer.mix(np.zeros((2, 10)), ("FL", "FR")).any()
    np.testing.assert_array_equal(mixer.mix(SPEECH[None], ("FC",)), SPEECH)
