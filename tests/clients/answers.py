"""Writes the answers of every ONNX graph of some releases; run by the Python whose onnxruntime is tried.

Usage: python answers.py OUTPUT.npz RELEASE...
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import distilforge
import numpy as np
import numpy.typing as npt
from distilforge.release import read_manifest, resolve

Arrays = Mapping[str, npt.NDArray[np.generic]]

TARGET = "onnxruntime-cpu"
_SENTENCE = "The food in this hotel was not as good as the [MASK] by the river, and nobody told us why. "
# Words of each text of a batch; attention masks of onnxruntime 1.20 and 1.21 fail if these differ
_WORDS = (4, 90, 17, 1, 40, 8)
_CHOICES = 2


def main(output: str, *releases: str) -> None:
    """Write the answers to a batch of texts of different lengths, and to each of them alone."""
    answers = {}
    for release in map(Path, releases):
        manifest = read_manifest(resolve(release))
        for variant in manifest.variants:
            if variant.target == TARGET:
                try:
                    session = distilforge.open(
                        release, variant=variant.name, threads=1, allow_unvalidated=True
                    )
                except distilforge.UnavailableError as error:
                    sys.stderr.write(f"{manifest.name}: {error}\n")
                    continue
                for way, arrays in (("batch", _together(session)), ("alone", _alone(session))):
                    answers |= {
                        f"{manifest.name} {variant.name} {name} {way}": array
                        for name, array in arrays.items()
                    }
    np.savez(output, **answers)


def _together(session: distilforge.Session) -> Arrays:
    feeds = _feeds(session)
    return _real_tokens(session, feeds, session.run(feeds))


def _alone(session: distilforge.Session) -> Arrays:
    rows = [_real_tokens(session, feeds, session.run(feeds)) for feeds in _rows(_feeds(session))]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _feeds(session: distilforge.Session) -> dict[str, npt.NDArray[np.generic]]:
    words = (_SENTENCE * 8).split()
    feeds = session.encode([" ".join(words[:count]) for count in _WORDS], truncation="truncate")
    if "choices" not in session.manifest.spans:
        return feeds
    return {name: array.reshape(-1, _CHOICES, array.shape[-1]) for name, array in feeds.items()}


def _rows(feeds: Arrays) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """Each row of a batch, without its padding."""
    for row, mask in enumerate(feeds["attention_mask"]):
        length = int(mask.sum(axis=-1).max())
        yield {name: array[row : row + 1, ..., :length] for name, array in feeds.items()}


def _real_tokens(session: distilforge.Session, feeds: Arrays, outputs: Arrays) -> Arrays:
    """The outputs with one value for each row, or for each token that is not padding, along the first axis."""
    mask = feeds["attention_mask"].astype(bool)
    shapes = {output.name: output.shape for output in session.manifest.outputs}
    return {
        name: array[mask] if "sequence" in shapes[name] else array.reshape(len(array), -1)
        for name, array in outputs.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
