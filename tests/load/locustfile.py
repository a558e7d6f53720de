"""The load test of a running platform: `make load`, `make knee`, or `locust -f tests/load/locustfile.py`.

docs/load.md has the knobs. Users of four doors take part; name classes on the command line for some of them.
"""

import sys
from typing import Any

import gevent
from grpc.experimental.gevent import init_gevent
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.runners import MasterRunner, WorkerRunner

from tests.load.grpc_users import OipGrpcUser, TfServingGrpcUser, TypedGrpcUser
from tests.load.options import add_knobs, check_options
from tests.load.outcomes import CACHE_OUTCOMES
from tests.load.rest_users import RestUser
from tests.load.shapes import choose_shape
from tests.load.verdict import Watch
from tests.load.visitors import open_mixes

__all__ = ["OipGrpcUser", "RestUser", "TfServingGrpcUser", "TypedGrpcUser"]

WRONG_OPTIONS = 2  # exit code, as argparse's


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Adds the knobs to Locust's options."""
    add_knobs(parser)


@events.init.add_listener
def prepare(environment: Any, runner: Any, **_: Any) -> None:
    """Sets up each process, after Locust has forked its workers: gRPC must not run before."""
    try:
        check_options(environment.parsed_options)
        _leave_out_idle_users(environment)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(WRONG_OPTIONS)
    open_mixes(environment.parsed_options)
    init_gevent()
    gevent.get_hub().loop.update_now()  # or timers would count what the preparation took
    if isinstance(runner, WorkerRunner):
        environment.events.report_to_master.add_listener(lambda client_id, data: CACHE_OUTCOMES.hand_over(data))
        return
    if isinstance(runner, MasterRunner):
        environment.events.worker_report.add_listener(lambda client_id, data: CACHE_OUTCOMES.take_over(data))
    environment.shape_class = choose_shape(environment.parsed_options)
    if environment.shape_class:
        environment.shape_class.runner = runner
    Watch(environment)


def _leave_out_idle_users(environment: Any) -> None:
    """Locust would start users of whose tasks none has the wanted tags, and they would fail."""
    wanted, unwanted = (set(getattr(environment.parsed_options, name) or ()) for name in ("tags", "exclude_tags"))

    def has_tasks(user: Any) -> bool:
        tags = [task.locust_tag_set for task in user.tasks]
        return any((not wanted or own & wanted) and not own & unwanted for own in tags)

    environment.user_classes[:] = [user for user in environment.user_classes if has_tasks(user)]
    if not environment.user_classes:
        raise ValueError("no user has a task with these --tags")
