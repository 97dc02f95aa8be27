"""The settings of ONNX Runtime that a release or a plan may name, and the values that each may have.

Only settings that change how a graph is computed are here. ONNX Runtime has others, which write or load files by name
or load libraries, and a release that comes from somebody else must not do that.
"""

from collections.abc import Mapping
from typing import Final

from distilforge.checks.setting_values import Values

_SWITCH: Final = range(2)
_WORDS_OF_A_SWITCH: Final = ("0", "1", "False", "True", "false", "true")
_GIGABYTES_64: Final = 64 << 30

SESSION_ENTRIES: Mapping[str, Values] = {
    "session.disable_aot_function_inlining": _SWITCH,
    "session.disable_double_qdq_remover": _SWITCH,
    "session.disable_prepacking": _SWITCH,
    "session.disable_quant_qdq": _SWITCH,
    "session.dynamic_block_base": range(1025),
    "session.enable_quant_qdq_cleanup": _SWITCH,
    "session.force_spinning_stop": _SWITCH,
    "session.inter_op.allow_spinning": _SWITCH,
    "session.intra_op.allow_spinning": _SWITCH,
    "session.qdq_matmulnbits_accuracy_level": range(5),
    "session.qdqisint8allowed": _SWITCH,
    "session.set_denormal_as_zero": _SWITCH,
    "session.x64quantprecision": _SWITCH,
}
"""Entries of a session's configuration: onnxruntime_session_options_config_keys.h."""

PROVIDER_OPTIONS: Mapping[str, Values] = {
    # CUDAExecutionProvider
    "arena_extend_strategy": ("kNextPowerOfTwo", "kSameAsRequested"),
    "cudnn_conv_algo_search": ("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    "cudnn_conv_use_max_workspace": _SWITCH,
    "do_copy_in_default_stream": _SWITCH,
    "enable_cuda_graph": _WORDS_OF_A_SWITCH,
    "enable_skip_layer_norm_strict_mode": _SWITCH,
    "gpu_mem_limit": range(_GIGABYTES_64 + 1),
    "prefer_nhwc": _SWITCH,
    "sdpa_kernel": range(1025),
    "use_tf32": _SWITCH,
    # TensorrtExecutionProvider
    "trt_auxiliary_streams": range(65),
    "trt_bf16_enable": _WORDS_OF_A_SWITCH,
    "trt_build_heuristics_enable": _WORDS_OF_A_SWITCH,
    "trt_builder_optimization_level": range(6),
    "trt_context_memory_sharing_enable": _WORDS_OF_A_SWITCH,
    "trt_fp16_enable": _WORDS_OF_A_SWITCH,
    "trt_int8_enable": _WORDS_OF_A_SWITCH,
    "trt_layer_norm_fp32_fallback": _WORDS_OF_A_SWITCH,
    "trt_max_partition_iterations": range(10001),
    "trt_max_workspace_size": range(_GIGABYTES_64 + 1),
    "trt_min_subgraph_size": range(10001),
    "trt_sparsity_enable": _WORDS_OF_A_SWITCH,
    # NvTensorRTRTXExecutionProvider
    "nv_max_shared_mem_size": range(_GIGABYTES_64 + 1),
    "nv_max_workspace_size": range(_GIGABYTES_64 + 1),
    "nv_multi_profile_enable": _WORDS_OF_A_SWITCH,
}
"""Options of the providers that a variant may run on; a provider refuses the options of the others."""
