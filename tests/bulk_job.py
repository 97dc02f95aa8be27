"""A job of `distilforge run`, for tests of what it keeps."""

from distilforge.bulk.job import Job

JOB = Job(
    input="file:///texts.jsonl",
    input_bytes=9,
    input_modified="2026-01-01",
    columns={"text": "text"},
    release="sentiment",
    version="1",
    variant="onnxruntime-cpu:fp32",
    threads=1,
    options="{}",
)
