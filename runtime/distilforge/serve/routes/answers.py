"""`/answer`: the typed results of every head."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from distilforge.errors import InputError
from distilforge.serve import body
from distilforge.serve.endpoint import Endpoint
from distilforge.serve.service import Service


class Answers:
    """Answers with the fields that the session's results have."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The path, and its documentation."""
        return (
            Endpoint(
                path="/answer",
                method="POST",
                handler=self.answer,
                summary="The session's results for a list of inputs, with the options of its call.",
                example={"inputs": [self._service.adapter.example], "options": {}},
                result={
                    "type": "object",
                    "properties": {"answers": {"type": "array"}},
                    "required": ["answers"],
                },
            ),
        )

    async def answer(self, request: Request) -> Response:
        """One answer for each entry of `inputs`."""
        service = self._service
        content = await body.read_object(request, service.limits)
        body.only(content, "inputs", "options")
        values = content.get("inputs")
        if not isinstance(values, list):
            raise InputError(
                f"inputs must be a list, found {values!r:.80}",
                hint=f"for example {json.dumps({'inputs': [service.adapter.example]})}",
            )
        service.limits.check_count(len(values))
        inputs = [service.adapter.input(value, f"input {index}") for index, value in enumerate(values)]
        answers = await service.in_thread(
            request, service.answers, inputs, body.options_in(content, "options")
        )
        return JSONResponse({"answers": [service.adapter.answer(answer) for answer in answers]})
