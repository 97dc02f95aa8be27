"""`/embed`, `/predict` and `/info`, as text-embeddings-inference has them."""

from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from distilforge.errors import InputError
from distilforge.heads.features import SENTENCE
from distilforge.serve import body
from distilforge.serve.adapter import Json, check_direction, to_json
from distilforge.serve.endpoint import Endpoint
from distilforge.serve.heads.sequence_classification import label_scores
from distilforge.serve.service import Service


class EmbeddingsInference:
    """Answers clients of text-embeddings-inference."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The paths that the head has, and their documentation."""
        paths = [
            Endpoint(
                path="/info",
                method="GET",
                handler=self.info,
                summary="The release, the variant and the limits.",
            )
        ]
        if self._service.session.head == "features":
            paths.append(
                Endpoint(
                    path="/embed",
                    method="POST",
                    handler=self.embed,
                    summary="The embedding of a text, or of each of a list of texts.",
                    example={"inputs": ["A text."], "normalize": True, "truncate": False},
                )
            )
        if self._service.session.head == "sequence_classification":
            paths.append(
                Endpoint(
                    path="/predict",
                    method="POST",
                    handler=self.predict,
                    summary="The labels of a text, of a pair [text, text], or of each of a list of [text] and pairs.",
                    example={"inputs": "A text.", "truncate": False},
                )
            )
        return tuple(paths)

    async def info(self, request: Request) -> Response:
        """What is served."""
        session, limits = self._service.session, self._service.limits
        manifest = session.manifest
        outputs = {output.name: output.dtype for output in manifest.outputs}
        return JSONResponse(
            {
                "model_id": manifest.name,
                "model_sha": manifest.version,
                "model_dtype": session.variant.precision,
                "model_type": self._model_type(),
                "max_concurrent_requests": self._service.batcher.options.max_waiting,
                "max_input_length": session.max_tokens,
                "max_batch_tokens": self._service.batcher.options.max_tokens,
                "max_client_batch_size": limits.texts,
                "version": version("distilforge"),
                "head": session.head,
                "variant": session.variant.name,
                "outputs": outputs,
            }
        )

    async def embed(self, request: Request) -> Response:
        """One vector for each text, of length 1 unless `normalize` is false."""
        content = await body.read_object(request, self._service.limits)
        body.only(
            content, "inputs", "normalize", "truncate", "truncation_direction", "prompt_name", "dimensions"
        )
        _refuse(content, "dimensions")
        check_direction(content.get("truncation_direction"))
        values = content.get("inputs")
        texts: list[object] = list(values) if isinstance(values, list) else [values]
        options: dict[str, Json] = {
            "normalize": body.flag(content, "normalize", default=True),
            "truncation": _truncation(content),
        }
        if content.get("prompt_name") is not None:
            options["prompt_name"] = content["prompt_name"]
        answers = await self._service.in_thread(request, self._service.answers, texts, options)
        return JSONResponse([to_json(answer) for answer in answers])

    async def predict(self, request: Request) -> Response:
        """All labels with their scores, best first."""
        content = await body.read_object(request, self._service.limits)
        body.only(content, "inputs", "truncate", "truncation_direction", "raw_scores")
        if body.flag(content, "raw_scores", default=False):
            raise InputError(
                "raw_scores is not supported", hint="/v2/models/NAME/infer answers the logits themselves"
            )
        check_direction(content.get("truncation_direction"))
        values = content.get("inputs")
        single = isinstance(values, str) or (
            isinstance(values, list) and bool(values) and all(isinstance(value, str) for value in values)
        )
        entries = [values] if single or not isinstance(values, list) else values
        self._service.limits.check_count(len(entries))
        inputs = [_text_or_pair(entry, index) for index, entry in enumerate(entries)]
        options = {"top_k": None, "truncation": _truncation(content)}
        answers = await self._service.in_thread(request, self._service.answers, inputs, options)
        results = [label_scores(answer) for answer in answers]
        return JSONResponse(results[0] if single else results)

    def _model_type(self) -> Json:
        session = self._service.session
        if session.head == "features":
            # A model that declares its pooling computes it in the graph, and the release does not name it
            declares = any(output.name == SENTENCE for output in session.manifest.outputs)
            return {"embedding": {} if declares else {"pooling": "mean"}}
        if session.head != "sequence_classification":
            return {session.head: {}}
        names = {str(index): label for index, label in enumerate(session.labels)}
        return {
            "classifier": {"id2label": names, "label2id": {name: int(key) for key, name in names.items()}}
        }


def _truncation(content: dict[str, Json] | object) -> str:
    assert isinstance(content, dict)
    return "truncate" if body.flag(content, "truncate", default=False) else "error"


def _refuse(content: object, name: str) -> None:
    assert isinstance(content, dict)
    if content.get(name) is not None:
        raise InputError(f"{name} is not supported", hint="leave it out")


def _text_or_pair(value: Json, index: int) -> object:
    """A text, `[text]` or `[text, text]`."""
    if isinstance(value, list) and len(value) in (1, 2):
        return value[0] if len(value) == 1 else (value[0], value[1])
    if isinstance(value, str):
        return value
    raise InputError(
        f"input {index} must be a text, [text] or [text, text], found {value!r:.80}",
        hint='for example {"inputs": [["A text."], ["A claim.", "Its evidence."]]}',
    )
