"""Turns texts into token ids, as Triton's python backend runs it.

A row of the input has one text, two that are read together, or a context and its options. Source of the interface:
https://github.com/triton-inference-server/python_backend
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as triton
from tokenizers import Tokenizer


class TritonPythonModel:
    """The tokenizer of the release."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the tokenizer beside this file."""
        folder = Path(args["model_repository"]) / args["model_version"]
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        self._max_tokens: int = settings["max_tokens"]
        self._min_tokens: int = settings["min_tokens"]
        self._has_choices: bool = settings["has_choices"]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        special = json.loads((folder / "special_tokens_map.json").read_text(encoding="utf-8"))["pad_token"]
        pad = special if isinstance(special, str) else special["content"]
        self._pad_id: int = self._tokenizer.token_to_id(pad)

    def execute(self, requests: Sequence[object]) -> list[object]:
        """The token ids and the mask for each request; an error for a request with a text that is too long."""
        responses = []
        for request in requests:
            rows = triton.get_input_tensor_by_name(request, "text").as_numpy()
            try:
                arrays = self.encode([[text.decode("utf-8") for text in row] for row in rows])
            except ValueError as error:
                responses.append(
                    triton.InferenceResponse(output_tensors=[], error=triton.TritonError(str(error)))
                )
                continue
            tensors = [triton.Tensor(name, array) for name, array in arrays.items()]
            responses.append(triton.InferenceResponse(output_tensors=tensors))
        return responses

    def encode(self, rows: Sequence[Sequence[str]]) -> dict[str, npt.NDArray[np.int64]]:
        """The arrays for rows of texts; ValueError for a row that the model cannot take."""
        inputs: list[str | tuple[str, str]] = []
        for row in rows:
            if self._has_choices:
                inputs += [(row[0], option) for option in row[1:]]
            elif len(row) in (1, 2):
                inputs.append(row[0] if len(row) == 1 else (row[0], row[1]))
            else:
                raise ValueError(f"a row has one text or two, found {len(row)}")
        encodings = self._tokenizer.encode_batch(inputs)
        longest = max(self._min_tokens, *(len(encoding.ids) for encoding in encodings))
        if longest > self._max_tokens:
            raise ValueError(f"a text has {longest} tokens; at most {self._max_tokens} are allowed")
        ids: npt.NDArray[np.int64] = np.full((len(encodings), longest), self._pad_id, dtype=np.int64)
        mask: npt.NDArray[np.int64] = np.zeros_like(ids)
        for index, encoding in enumerate(encodings):
            ids[index, : len(encoding.ids)] = encoding.ids
            mask[index, : len(encoding.ids)] = 1
        if self._has_choices:
            ids = ids.reshape(len(rows), -1, longest)
            mask = mask.reshape(len(rows), -1, longest)
        return {"input_ids": ids, "attention_mask": mask}
