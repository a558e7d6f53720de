"""Users of the REST door."""

import json
from ssl import create_default_context
from typing import Any

from locust import FastHttpUser, tag, task

from tests.load.drawings import to_points
from tests.load.naming import Failed, name_http_error
from tests.load.outcomes import CACHE_OUTCOMES
from tests.load.series import DailySeries
from tests.load.visitors import FORECAST, SKETCH, TENSORS, VIDEO, Visitor

BOUNDARY = "seqserve-load-3f6d1b"
_OK = 200


class RestUser(Visitor, FastHttpUser):
    """Draws most of the time, forecasts sometimes, films seldom; one request in twelve is TensorFlow Serving's."""

    weight = 4

    def __init__(self, environment: Any) -> None:
        """Opens its connections."""
        options = environment.parsed_options
        self.network_timeout = self.connection_timeout = options.request_timeout_s
        self.default_headers = {"x-api-key": options.api_key} if options.api_key else {}
        if options.tls_ca:
            self.insecure, self.ssl_context_factory = False, lambda: create_default_context(cafile=options.tls_ca)
        super().__init__(environment)

    @tag(SKETCH)
    @task(6)
    def classify_sketch(self) -> None:
        """One drawing."""
        self._post("/v1/sketches:classify", {"strokes": self.drawings.draw()}, "predictions")

    @tag(SKETCH)
    @task(1)
    def classify_sketches(self) -> None:
        """Many drawings."""
        sketches = [{"strokes": self.drawings.draw()} for _ in range(self.options.batch)]
        self._post("/v1/sketches:batchClassify", {"sketches": sketches}, "results")

    @tag(FORECAST)
    @task(3)
    def forecast(self) -> None:
        """One series."""
        self._post("/v1/series:forecast", {"series": [_describe(self.series.draw())]}, "forecasts")

    @tag(VIDEO)
    @task(1)
    def classify_video(self) -> None:
        """One clip, as a form."""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="clip.mp4"\r\n\r\n'
        body = head.encode() + self.clips.draw() + f"\r\n--{BOUNDARY}--\r\n".encode()
        self._send("/v1/videos:classify", body, f"multipart/form-data; boundary={BOUNDARY}", "predictions")

    @tag(SKETCH, TENSORS)
    @task(1)
    def predict(self) -> None:
        """One drawing as TensorFlow Serving's clients send it."""
        ink = to_points(self.drawings.draw())
        self._post("/v1/models/sketch:predict", {"instances": [{"ink": ink}]}, "predictions")

    def _post(self, path: str, body: dict[str, Any], wanted: str) -> None:
        self._send(path, json.dumps(body).encode(), "application/json", wanted)

    def _send(self, path: str, body: bytes, content_type: str, wanted: str) -> None:
        headers = {"content-type": content_type}
        with self.client.post(path, data=body, headers=headers, catch_response=True) as response:
            if response.status_code != _OK:
                error = getattr(response, "error", None)  # only where no answer came
                response.failure(Failed(name_http_error(response.status_code, response.content, error)))
                return
            CACHE_OUTCOMES.add(response.headers.get("x-seqserve-cache", ""))
            if not json.loads(response.content).get(wanted):
                response.failure(Failed("EMPTY_ANSWER"))


def _describe(series: DailySeries) -> dict[str, Any]:
    return {"id": "load", "start": series.start.isoformat(), "values": series.values}
