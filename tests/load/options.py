"""The knobs of the load test, beside Locust's own (--users, --spawn-rate, --run-time, --host, --tags, --html …)."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.load.knee import Plan
from tests.load.slo import Objectives

SHAPES = ("constant", "ramp", "step", "spike", "soak", "knee")
_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Knob:
    """One option of the command line; its environment variable is SEQSERVE_LOAD_ and its name."""

    flag: str
    default: Any
    help: str
    choices: tuple[str, ...] | None = None
    is_secret: bool = False

    @property
    def variable(self) -> str:
        """Environment variable that sets it, too."""
        return "SEQSERVE_LOAD_" + self.flag.removeprefix("--").replace("-", "_").upper()


KNOBS = (
    Knob("--grpc-target", "127.0.0.1:8500", "host:port of the gRPC door; --host is the REST door's address"),
    Knob("--api-key", "", "key of a platform that asks for one", is_secret=True),
    Knob(
        "--tls-ca",
        "",
        "PEM file of the gateway's authority; encrypts gRPC, and REST where --host is https",
    ),
    Knob("--request-timeout-s", 30.0, "time after which a request has failed"),
    Knob("--pace", 4.0, "requests per second of each user, at random moments; 0 for as many as it can"),
    Knob("--repeat-share", 0.5, "share of the requests that repeat earlier ones, which a cache may answer"),
    Knob("--repeat-pool", 64, "different requests of each kind among those that repeat"),
    Knob("--batch", 16, "drawings in a request of many"),
    Knob("--data", str(_DATA), "folder of the real data; without it drawings and series are generated"),
    Knob("--shape", "constant", "how the number of users changes over --run-time", SHAPES),
    Knob("--steps", 5, "steps of the shape step"),
    Knob("--base-users", 0, "users before and after a spike; 0 for an eighth of --users"),
    Knob("--warm-up-s", 5.0, "seconds at the start that objectives leave out"),
    Knob("--slo-p95-ms", 0.0, "objective: 95 % of the requests end within it; 0 for none"),
    Knob("--slo-p99-ms", 500.0, "objective: 99 % of the requests end within it; 0 for none"),
    Knob("--slo-error-rate", 0.001, "objective: failed requests of all; 1 for any"),
    Knob("--slo-min-rate", 0.0, "objective: requests per second; with the shape knee, of the knee"),
    Knob("--slo-drift", 0.0, "objective: p99 of the last quarter over that of the first; 0 for any"),
    Knob("--knee-users", 4, "users of the first step; --users is the most that is tried"),
    Knob("--knee-factor", 1.5, "users of a step over those of the step before"),
    Knob("--knee-step-s", 12.0, "seconds of a step that are measured"),
    Knob("--knee-settle-s", 4.0, "seconds of a step before that"),
    Knob("--knee-gain", 0.25, "share of a proportional rise of requests/s below which they no longer rise"),
    Knob("--knee-refinements", 2, "steps between the last good and the first bad one"),
    Knob("--knee-report", "", "file for the steps: NAME.md as a table, NAME.json for programs"),
)
FIXED = ("--shape", "--steps", "--base-users", "--knee", "--tls-ca", "--data")  # from the start on: not on the web page


def add_knobs(parser: Any) -> None:
    """Adds all of them to Locust's parser."""
    for knob in KNOBS:
        parser.add_argument(
            knob.flag,
            type=type(knob.default),
            default=knob.default,
            choices=knob.choices,
            help=f"{knob.help} (default: {knob.default!r})".replace("%", "%%"),
            env_var=knob.variable,
            include_in_web_ui=not knob.flag.startswith(FIXED),
            is_secret=knob.is_secret,
        )


def read_objectives(options: Namespace) -> Objectives:
    """The objectives among the options."""
    return Objectives(
        p95_ms=options.slo_p95_ms,
        p99_ms=options.slo_p99_ms,
        error_share=options.slo_error_rate,
        min_rate=options.slo_min_rate,
        drift=options.slo_drift,
    )


def read_plan(options: Namespace) -> Plan:
    """How the search for the knee goes."""
    return Plan(
        first_users=options.knee_users,
        max_users=options.num_users or Plan.max_users,
        factor=options.knee_factor,
        gain=options.knee_gain,
        refinements=options.knee_refinements,
    )


def check_options(options: Namespace) -> None:
    """Raises:
    ValueError: an option has no meaning; the text says which.
    """
    if not 0 <= options.repeat_share <= 1:
        raise ValueError(f"--repeat-share is {options.repeat_share}; 0 to 1")
    for name in ("repeat_pool", "batch", "steps", "knee_users"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(options, name)}; at least 1")
    if options.knee_factor <= 1:
        raise ValueError(f"--knee-factor is {options.knee_factor}; above 1")
    if options.shape not in ("constant", "knee") and not options.run_time:
        raise ValueError(f"--shape {options.shape} needs a --run-time")
