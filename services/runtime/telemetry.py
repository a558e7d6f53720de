"""Structured logs: one JSON object a line on stdout, with the request id of the call it belongs to."""

import logging
import os
import sys
from typing import Any

import structlog
from pydantic_core import to_json

from services.runtime.tracing import add_trace_id


def configure_logging(service: str, level: str = "info") -> None:
    """Sends structlog and the standard library's logging to stdout as JSON lines.

    Args:
        service: name of this process in the log ("gateway").
        level: lowest level that is written.
    """
    pid = os.getpid()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.dict_tracebacks,
        add_trace_id,
    ]
    # Ray Serve puts a stand-in at sys.stdout, which holds lines back.
    output = sys.__stdout__

    def add_process(_logger: Any, _method: str, event: Any) -> Any:
        return {"service": service, "pid": pid, **event}

    # Our own lines go to the output at once: the standard library's way would take as long again as all the rest.
    structlog.configure(
        processors=[*shared, add_process, structlog.processors.JSONRenderer(_write_json)],
        logger_factory=structlog.WriteLoggerFactory(output),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                add_process,
                structlog.processors.JSONRenderer(_write_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def _write_json(event: Any, **_options: Any) -> str:
    return to_json(event, fallback=repr).decode()
