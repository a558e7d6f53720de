"""Addresses and ports: every machine has its own, so that those of a real platform can be used."""

HOST = "10.77.0.254"  # where the harness itself, its clients and Redis are
PREFIX = 24
HEAD_PORT = 6379  # of Ray's head
HTTP_PORT, GRPC_PORT = 8000, 9000  # of the ingresses
REST_PORT, DOOR_PORT = 8501, 8500  # of the gateways
REDIS_PORT = 6390
SERVICES = ("sketch", "forecast", "video", "savedmodel")
