"""`/v2`: the Open Inference Protocol, version 2, as KServe and Triton have it, with its binary tensors."""

import json
from collections.abc import Mapping
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from distilforge.checks.arguments import check_string
from distilforge.engine import Array
from distilforge.errors import InputError, UnavailableError
from distilforge.registry import nearest
from distilforge.serve import body, tensors
from distilforge.serve.adapter import Json
from distilforge.serve.endpoint import Endpoint
from distilforge.serve.service import Service
from distilforge.serve.tensors import BYTES, InputTensor

TEXT = "text"
"""The input that a client passes instead of the graph's: texts, which the service encodes."""
TEXT_PAIR = "text_pair"
"""The second texts of pairs, beside TEXT."""
_HEADER_LENGTH = "inference-header-content-length"
_BINARY = "binary_data"
# They change what an output is, so that a client would misread it
_NOT_OFFERED = ("classification", "shared_memory_region")


class UnknownModelError(InputError):
    """The path names another model or version than the one that is served."""


class OpenInference:
    """Answers clients of KServe and Triton."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The paths, with and without a version, and their documentation."""
        model = "/v2/models/{name}"
        example = {
            "inputs": [{"name": TEXT, "shape": [1], "datatype": BYTES, "data": ["A text."]}],
            "outputs": [{"name": self._service.manifest.outputs[0].name}],
        }
        server = (
            Endpoint(path="/v2", method="GET", handler=self.server, summary="The server and its extensions."),
            Endpoint(path="/v2/health/live", method="GET", handler=self.live, summary="Whether it runs."),
            Endpoint(
                path="/v2/health/ready",
                method="GET",
                handler=self.ready,
                summary="Whether it answers.",
                stops=True,
            ),
        )
        models = tuple(
            endpoint
            for prefix in (model, f"{model}/versions/{{version}}")
            for endpoint in (
                Endpoint(
                    path=prefix, method="GET", handler=self.model, summary="The model's inputs and outputs."
                ),
                Endpoint(
                    path=f"{prefix}/ready",
                    method="GET",
                    handler=self.model_ready,
                    summary="Whether the model answers.",
                    stops=True,
                ),
                Endpoint(
                    path=f"{prefix}/infer",
                    method="POST",
                    handler=self.infer,
                    summary="The graph's outputs for its inputs, or for texts.",
                    example=example,
                ),
            )
        )
        return server + models

    async def server(self, request: Request) -> Response:
        """The name and version of the server."""
        return JSONResponse(
            {"name": "distilforge", "version": version("distilforge"), "extensions": ["binary_tensor_data"]}
        )

    async def live(self, request: Request) -> Response:
        """An answer is enough."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """200 until the service stops."""
        self._check_ready()
        return JSONResponse({"ready": True})

    async def model(self, request: Request) -> Response:
        """The metadata of the model."""
        self._check_name(request)
        manifest = self._service.manifest
        texts = [{"name": TEXT, "datatype": BYTES, "shape": [-1]}] if self._takes_texts else []
        return JSONResponse(
            {
                "name": manifest.name,
                "versions": [manifest.version],
                "platform": f"distilforge_{self._service.session.variant.target}",
                "inputs": [
                    *map(tensors.metadata, manifest.inputs),
                    *texts,
                ],
                "outputs": [*map(tensors.metadata, manifest.outputs)],
            }
        )

    async def model_ready(self, request: Request) -> Response:
        """200 until the service stops."""
        self._check_name(request)
        self._check_ready()
        return JSONResponse({"name": self._service.manifest.name, "ready": True})

    async def infer(self, request: Request) -> Response:
        """The outputs as JSON, or in the binary form where the request asks for it."""
        self._check_name(request)
        service = self._service
        content = await body.read(request, service.limits)
        header, raw = _parts(content, request.headers.get(_HEADER_LENGTH))
        document = body.parse_object(header)
        inputs = _inputs(document, raw)
        names, binary = self._outputs(document)
        identity = _identity(document)
        outputs = await service.in_thread(request, self._run, inputs)
        return self._response(identity, {name: outputs[name] for name in names}, binary)

    @property
    def _takes_texts(self) -> bool:
        """Whether `session.encode` makes the graph's inputs, which those of multiple choice are not."""
        return all(len(tensor.shape) == 2 for tensor in self._service.manifest.inputs)

    def _run(self, inputs: Mapping[str, Array | tuple[str, ...]]) -> Mapping[str, Array]:
        service, session = self._service, self._service.session
        texts = inputs.get(TEXT)
        if isinstance(texts, tuple) and self._takes_texts:
            pairs = inputs.get(TEXT_PAIR, ())
            if (
                set(inputs) - {TEXT, TEXT_PAIR}
                or not isinstance(pairs, tuple)
                or len(pairs) not in (0, len(texts))
            ):
                raise InputError(
                    f"beside {TEXT!r} there may only be {TEXT_PAIR!r}, with as many texts; found "
                    f"{', '.join(inputs)!s:.80}",
                    hint="pass either texts or the graph's inputs",
                )
            values = list(zip(texts, pairs, strict=True)) if pairs else list(texts)
            service.limits.check_texts(values)
            return session.run(session.encode(values))
        arrays: dict[str, Array] = {}
        for name, value in inputs.items():
            if name in (TEXT, TEXT_PAIR) and self._takes_texts and not isinstance(value, tuple):
                raise InputError(
                    f"the input {name!r} has the datatype of numbers, and must have {BYTES}",
                    hint=f'{{"name": "{name}", "shape": [1], "datatype": "{BYTES}", "data": ["A text."]}}',
                )
            if isinstance(value, tuple):
                raise InputError(
                    f"the input {name!r:.80} has the datatype {BYTES}",
                    hint=f"only {TEXT} has it, and beside it {TEXT_PAIR}; multiple choice takes neither",
                )
            arrays[name] = value
            # Of an array without axes, the session says what it must be
            service.limits.check_count(len(value) if value.ndim else 1)
        return session.run(arrays)

    def _outputs(self, document: Mapping[str, Json]) -> tuple[tuple[str, ...], frozenset[str]]:
        """The names of the outputs to answer, and those of them to answer in the binary form."""
        known = tuple(tensor.name for tensor in self._service.manifest.outputs)
        parameters = body.options_in(document, "parameters")
        everything = body.flag(parameters, "binary_data_output", default=False)
        entries = document.get("outputs") or [{"name": name} for name in known]
        if not isinstance(entries, list):
            raise InputError(f"outputs must be a list, found {entries!r:.80}", hint="leave it out for all")
        binary: dict[str, bool] = {}
        for entry in entries:
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(entry, dict) or name not in known:
                raise InputError(f"there is no output {name!r:.80}", hint=nearest(str(name), known))
            asked = body.options_in(entry, "parameters")
            for parameter in _NOT_OFFERED:
                if parameter in asked:
                    raise InputError(
                        f"the output {name!r:.80} cannot have the parameter {parameter!r}",
                        hint="leave it out: the service answers the whole output",
                    )
            binary[str(name)] = body.flag(asked, _BINARY, default=everything)
        return tuple(binary), frozenset(name for name in binary if binary[name])

    def _response(
        self, identity: str | None, outputs: Mapping[str, Array], binary: frozenset[str]
    ) -> Response:
        manifest = self._service.manifest
        entries: list[dict[str, Json]] = []
        raw = b""
        for name, array in outputs.items():
            entry = tensors.output_entry(name, array)
            if name in binary:
                values = tensors.little_endian(array)
                raw += values
                entry["parameters"] = {tensors.BINARY_SIZE: len(values)}
            else:
                entry["data"] = array.ravel().tolist()
            entries.append(entry)
        answer: dict[str, Json] = {
            "model_name": manifest.name,
            "model_version": manifest.version,
            "outputs": entries,
        }
        if identity is not None:
            answer["id"] = identity
        if not binary:
            return JSONResponse(answer)
        header = json.dumps(answer).encode()
        return Response(
            header + raw,
            media_type="application/octet-stream",
            headers={_HEADER_LENGTH: str(len(header))},
        )

    def _check_name(self, request: Request) -> None:
        manifest = self._service.manifest
        name = request.path_params["name"]
        if name != manifest.name:
            raise UnknownModelError(
                f"there is no model {name!r:.80}", hint=f"this service has {manifest.name!r}"
            )
        asked = request.path_params.get("version", manifest.version)
        if asked != manifest.version:
            raise UnknownModelError(
                f"there is no version {asked!r:.80} of {name!r}",
                hint=f"this service has {manifest.version!r}",
            )

    def _check_ready(self) -> None:
        if self._service.stopping:
            raise UnavailableError("the service stops", hint="ask another one")


def _identity(document: Mapping[str, Json]) -> str | None:
    """What the client calls its request, which the answer repeats; InputError if no answer can hold it."""
    value = document.get("id")
    return check_string(value, "id") if isinstance(value, str) else None


def _parts(content: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    """The JSON of a request and its binary part, which the header Inference-Header-Content-Length divides."""
    if header_length is None:
        return content, memoryview(b"")
    if not header_length.isdecimal() or len(header_length) > 20 or int(header_length) > len(content):
        raise InputError(
            f"Inference-Header-Content-Length is {header_length!r:.80}, and the body has {len(content)} bytes",
            hint="it must be the number of bytes of the JSON at the body's start",
        )
    return content[: int(header_length)], memoryview(content)[int(header_length) :]


def _inputs(document: Mapping[str, Json], raw: memoryview) -> Mapping[str, Array | tuple[str, ...]]:
    entries = document.get("inputs")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"inputs must be a list of tensors, found {entries!r:.80}", hint="GET /openapi.json")
    inputs: list[InputTensor] = []
    position = 0
    for entry in entries:
        size = tensors.binary_size(entry)
        if size is None:
            inputs.append(tensors.read_tensor(entry, None))
            continue
        if position + size > len(raw):
            raise InputError(
                f"an input should have {size} bytes in the binary part, and {len(raw) - position} are left",
                hint="binary_data_size must be what follows the JSON",
            )
        inputs.append(tensors.read_tensor(entry, raw[position : position + size]))
        position += size
    if position != len(raw):
        raise InputError(
            f"the binary part has {len(raw)} bytes, and the inputs have {position} of them",
            hint="binary_data_size must be what follows the JSON",
        )
    return tensors.by_name(inputs)
