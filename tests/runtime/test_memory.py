"""Memory that ran out, in the words of those who say so."""

from __future__ import annotations

import pytest

from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.runtime.device_session import run_error
from onnx_cam.runtime.memory import free_cuda_memory, is_out_of_memory, requested_bytes

RAN_OUT = [
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:'c' "
    "Status Message: bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 123",
    "std::bad_alloc",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: bad allocation",
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=a ; expr=cudaMalloc((void**)&p, size);",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
    "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
    "bfc_arena.cc:359 Available memory of 1 is smaller than requested bytes of 2",
    "[Errno 12] Cannot allocate memory",
]


@pytest.mark.parametrize("words", RAN_OUT)
def test_memory_that_ran_out_is_seen_in_any_wording(words: str) -> None:
    assert is_out_of_memory(RuntimeError(words))
    assert isinstance(run_error(RuntimeError(words), "a.onnx", "a run of 4 maps"), OutOfMemoryError)


def test_memory_that_python_lacks_needs_no_words() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(OutOfMemoryError("of whatever"))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: image"),
        RuntimeError("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : the memory layout is not supported by Conv"),
        RuntimeError("CUDA failure 700: an illegal memory access was encountered ; GPU=0"),
        RuntimeError("CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED"),
        ValueError("index 5 is out of bounds for axis 0 with size 5"),
        KeyError("memory"),
    ],
)
def test_other_errors_are_none_of_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)
    raised = run_error(error, "a.onnx", "a run of 4 maps")
    assert type(raised) is ScoreError
    assert requested_bytes(error) is None


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("Failed to allocate memory for requested buffer of size 123", 123),
        ("Available memory of 1 is smaller than requested bytes of 2", 2),
        ("std::bad_alloc", None),
        ("CUDA failure 2: out of memory ; GPU=0", None),
    ],
)
def test_the_buffer_that_could_not_be_had_is_read_off_the_error(words: str, needed: int | None) -> None:
    assert requested_bytes(RuntimeError(words)) == needed


def test_what_was_needed_is_said_in_mebibytes() -> None:
    error = RuntimeError(f"Failed to allocate memory for requested buffer of size {5 * 2**20}")
    message = str(run_error(error, "a.onnx", "a run of 4 maps"))
    assert "a.onnx failed on a run of 4 maps (could not allocate a buffer of 5.0 MiB)" in message
    assert "\n" not in message


def test_a_cuda_device_has_memory_left_or_there_is_none() -> None:
    free = free_cuda_memory()
    assert free is None or free > 0
    assert free_cuda_memory(10_000) is None
