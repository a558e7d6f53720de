"""What looks on while requests are answered, and never changes or delays them."""

from typing import Any, Protocol

from google.protobuf.message import Message

from services.gateway.call import Call


class Observer(Protocol):
    """Is told of answers."""

    def saw(self, service: str, request: Message, response: Any, call: Call) -> None:
        """One request was answered; returns at once and raises nothing.

        Args:
            service: the service that answered.
            request: the canonical request.
            response: its answer, which names the model and its version.
            call: what the client said around it; its outcome is complete.
        """
