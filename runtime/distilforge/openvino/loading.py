"""From a variant's ONNX file to an engine: read or taken from the cache, compiled, and checked."""

import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilforge.affinity import available_cores
from distilforge.checks import onnx_file
from distilforge.errors import ReleaseError, UnavailableError
from distilforge.manifest import Tensor, Variant
from distilforge.openvino import package
from distilforge.openvino.compiled_models import CompiledModelFile
from distilforge.openvino.engine import OpenVinoEngine
from distilforge.openvino.package import DEVICE
from distilforge.openvino.settings import PRECISION, settings
from distilforge.openvino.streams import Streams

if TYPE_CHECKING:
    import openvino

_SUFFIX = ".onnx"
_OUTPUT_SUFFIX = "/sink_port_0"
_logger = logging.getLogger("distilforge")


def load_engine(variant: Variant, folder: Path, *, threads: int | None) -> OpenVinoEngine:
    """Load the variant's graph with the settings that it was validated with.

    Raises ReleaseError for a setting that is not allowed and for a file that OpenVINO cannot load, and UnavailableError
    where this machine does not compute in the precision that was validated.
    """
    validated = settings(variant)
    _check_format(variant)
    onnx_file.check(folder, variant, variant.files[0])
    properties = {**validated, **Streams.of(threads, len(available_cores())).properties()}
    compiled = _compile(variant, folder, properties)
    _check_precision(variant, compiled, validated[PRECISION])
    return OpenVinoEngine(
        compiled,
        inputs=[_tensor(value) for value in compiled.inputs],
        outputs=[_tensor(value) for value in compiled.outputs],
    )


def _check_format(variant: Variant) -> None:
    """Raise ReleaseError for another format than ONNX: OpenVINO reads many, and only this one is validated."""
    if not variant.files[0].endswith(_SUFFIX):
        raise ReleaseError(
            f"the variant {variant.name!r:.200} has the graph {variant.files[0]!r:.200}; it must be an ONNX file, "
            f"{_SUFFIX}",
            hint="publish the release again",
        )


def _compile(variant: Variant, folder: Path, properties: Mapping[str, str]) -> "openvino.CompiledModel":
    core, file = package.core(), cache_file(variant, folder)
    if file is not None and (kept := file.read()) is not None:
        try:
            return core.import_model(io.BytesIO(kept), DEVICE, dict(properties))
        except RuntimeError as cause:
            _logger.warning("the compiled model %s cannot be used: %s", file.path, cause)
    compiled = _compile_graph(variant, folder, properties)
    if file is not None:
        exported = io.BytesIO()
        compiled.export_model(exported)
        file.write(exported.getvalue())
    return compiled


def cache_file(variant: Variant, folder: Path) -> CompiledModelFile | None:
    """The file of the cache for the compiled model of `variant`; None without a cache."""
    core = package.core()
    import openvino

    made_by = f"{openvino.__version__} {core.get_property(DEVICE, 'FULL_DEVICE_NAME')}"
    return CompiledModelFile.of(tuple(folder / name for name in variant.files), made_by, settings(variant))


def _compile_graph(variant: Variant, folder: Path, properties: Mapping[str, str]) -> "openvino.CompiledModel":
    import openvino

    name = variant.files[0]
    try:
        reader = openvino.frontend.FrontEndManager().load_by_framework("onnx")
        model = reader.convert(reader.load(str(folder / name)))
        return package.core().compile_model(model, DEVICE, dict(properties))
    # Its reader of ONNX files has errors of other classes
    except Exception as cause:
        raise ReleaseError(
            f"OpenVINO {openvino.__version__} cannot load {name!r:.200}: {cause}",
            hint="a newer graph may need `pip install --upgrade openvino`",
        ) from cause


def _check_precision(variant: Variant, compiled: "openvino.CompiledModel", validated: str) -> None:
    """Raise UnavailableError where OpenVINO took another precision than the one it was asked for, which it may do."""
    used = compiled.get_property(PRECISION).get_type_name()
    if used != validated:
        raise UnavailableError(
            f"the variant {variant.name!r:.200} was validated in {validated}, and OpenVINO computes in {used} here",
            hint=f"open it on a processor that computes in {validated}, or open another variant",
        )


# Any: OpenVINO's ports, which have no public type
def _tensor(port: Any) -> Tensor:
    """The manifest's form of an input or output of a compiled model."""
    sizes: Sequence[Any] = port.get_partial_shape()
    return Tensor(
        name=_name(port),
        dtype=port.get_element_type().to_dtype().name,
        shape=tuple("" if size.is_dynamic else size.get_length() for size in sizes),
    )


def _name(port: Any) -> str:
    """The name in the ONNX file; a compiled model gives an output the names of the tensors that it was fused with too.

    The node of an output is called like it, with a suffix.
    """
    of_node: str = port.get_node().get_friendly_name().removesuffix(_OUTPUT_SUFFIX)
    any_name: str = port.get_any_name()
    return of_node if of_node in port.get_names() else any_name
