"""The picture pipeline with files that were made to hurt, each in a process of its own that is measured; and a fuzz."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mealshare.features.media.images import ImageRefused, make_variants, probe
from tests.features.media import corpus

MEGABYTES, SECONDS = 400, 5.0
#: Hostile only in cost: these are real pictures and must come out as such.
SHOWN = {
    "jpeg with a zip behind",
    "jpeg lies about 49 MP",
    "jpeg progressive, 49 MP, no sub-sampling",
    "jpeg of 60 scans, 12 MP",
    "jpeg 65,000 x 760",
    "jpeg 1 x 65,000",
    "png data never ends",
    "png 49 MP of zeros",
    "png 49 MP, 16 bits, alpha",
    "png 49 MP, 16 bits, grey",
    "png 49 MP, palette with transparency",
    "png zTXt bombs",
    "png iTXt bomb",
    "png iCCP bomb",
    "gif of 5,000 frames",
    "webp 17 MP",
    "webp 17 MP, alpha",
    "webp of 15,000 frames",
    "webp lossless noise",
    "avif 19 MP, alpha",
    "avif of 2,000 frames",
    "heic 48 MP",
    "heic 25 MP, alpha",
    "noise with alpha",
}
#: Runs in the measured process: the outcome, the seconds of both steps, and the peak of the resident memory.
PROGRAM = """
import json, sys, time
from mealshare.features.media.images import ImageRefused, make_variants, probe
data = open(sys.argv[1], "rb").read()
start = time.perf_counter()
try:
    probe(data)
    outcome = "probed"
except ImageRefused as refused:
    outcome = refused.code
probed = time.perf_counter()
if outcome == "probed":
    try:
        outcome = "shown" if make_variants(data).variants[1600].data else ""
    except ImageRefused as refused:
        outcome = refused.code
seconds = time.perf_counter() - start
# Not ru_maxrss: that one keeps the peak of the process that started this one.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([outcome, probed - start, seconds, int(status["VmHWM"].split()[0]) / 1024]))
"""


@pytest.mark.parametrize("name", corpus.HOSTILE)
def test_a_hostile_file_is_cheap(name: str, tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(corpus.HOSTILE[name]())
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)], capture_output=True, check=False, timeout=60, text=True
    )
    assert done.returncode == 0, done.stderr
    outcome, probed, seconds, megabytes = json.loads(done.stdout)
    assert (outcome == "shown") == (name in SHOWN), outcome
    assert outcome in {"shown", "broken", "unsupported_type", "too_many_pixels"}
    assert probed <= 1.5
    assert seconds <= SECONDS
    assert megabytes <= MEGABYTES


@pytest.mark.parametrize("name", corpus.samples())
def test_broken_files_are_refused_or_shown(name: str) -> None:
    outcomes: dict[str, int] = {}
    for broken in corpus.mutations(corpus.samples()[name], count=300, seed=20_240_601):
        start = time.perf_counter()
        for step in (probe, make_variants):
            try:
                outcome = "shown" if step(broken) else ""
            except ImageRefused as refused:
                outcome = refused.code
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        assert time.perf_counter() - start <= SECONDS
    assert set(outcomes) <= {"shown", "broken", "unsupported_type", "too_many_pixels"}
    assert outcomes["broken"] >= 30  # The mutations do reach the decoders ...
    assert outcomes["shown"] >= 5  # ... and do not only destroy the first bytes.


@pytest.mark.parametrize("name", corpus.samples())
def test_every_truncation_is_refused_or_shown(name: str) -> None:
    data = corpus.samples()[name]
    for length in range(0, len(data), max(1, len(data) // 150)):
        for step in (probe, make_variants):
            refused = ""
            try:
                shown = step(data[:length])
            except ImageRefused as error:
                shown, refused = None, error.code
            assert shown or refused in {"broken", "unsupported_type"}
    with pytest.raises(ImageRefused):
        make_variants(data[: len(data) // 2])


def test_a_jpeg_without_its_end_is_broken() -> None:
    """The decoder would fill the missing rows with grey and call that a picture."""
    data = corpus.samples()["image/jpeg"]
    assert make_variants(data).width
    for length in (len(data) - 2, len(data) - 200):
        for step in (probe, make_variants):
            with pytest.raises(ImageRefused) as refused:
                step(data[:length])
            assert refused.value.code == "broken"
