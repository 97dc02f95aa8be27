"""`POST /`: the tasks of the Hugging Face hub, as `huggingface_hub.InferenceClient` asks them."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from distilforge.serve import body
from distilforge.serve.adapter import Json
from distilforge.serve.endpoint import Endpoint
from distilforge.serve.service import Service


class HuggingFaceTask:
    """Answers the head's task."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The path and its documentation; none for a head whose task the hub does not have."""
        adapter = self._service.adapter
        if not adapter.task:
            return ()
        return (
            Endpoint(
                path="/",
                method="POST",
                handler=self.answer,
                summary=f"The task {adapter.task} of the Hugging Face hub.",
                example={"inputs": adapter.example, "parameters": {}},
            ),
        )

    async def answer(self, request: Request) -> Response:
        """The result for one input, or a list of results for a list."""
        service, adapter = self._service, self._service.adapter
        content = dict(await body.read_object(request, service.limits))
        values = content.pop("inputs", None)
        parameters: dict[str, Json] = {**content, **body.options_in(content, "parameters")}
        parameters.pop("parameters", None)
        options = adapter.task_options(
            {name: value for name, value in parameters.items() if value is not None}
        )
        single = not isinstance(values, list)
        entries: list[Json] = values if isinstance(values, list) else [values]
        service.limits.check_count(len(entries))
        inputs = [adapter.input(value, f"input {index}") for index, value in enumerate(entries)]
        answers = await service.in_thread(request, service.answers, inputs, options)
        return JSONResponse(adapter.task_answers(answers, options, single=single))
