"""Deploys the services on a cluster that runs: `python -m bench.faults.driver <address> '<arguments>'`.

Runs on the cluster's head, and again with other arguments to upgrade the services while they serve.
"""

import json
import logging
import os
import sys

import ray

from bench.faults.places import GRPC_PORT, HTTP_PORT
from services.forecast.app import build as build_forecast
from services.platform.ray_cluster import run_applications, start_serve
from services.savedmodel.app import build as build_savedmodel
from services.sketch.app import build as build_sketch
from services.video.app import build as build_video

BUILDS = {"sketch": build_sketch, "forecast": build_forecast, "video": build_video, "savedmodel": build_savedmodel}


def deploy(address: str, arguments: dict[str, object]) -> None:
    """Deploys all services and waits until each is ready.

    Args:
        address: host:port of Ray's head.
        arguments: ServingSettings of all services.

    Raises:
        RuntimeError: a service could not start.
    """
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    start_serve("0.0.0.0", HTTP_PORT, GRPC_PORT)  # noqa: S104  # the network is the harness's own
    run_applications({name: build(arguments) for name, build in BUILDS.items()})


if __name__ == "__main__":
    deploy(sys.argv[1], json.loads(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # nothing here has to be put away, and the services go on
