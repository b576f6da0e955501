"""How this package's gRPC channels behave: proxies, message sizes, reconnection."""

from ipaddress import ip_address

ChannelOptions = list[tuple[str, int]]

CONNECT_TIMEOUT_MS = 20_000
"""How long one attempt to connect may last, which is what gRPC uses its shortest pause for: a busy
server takes a while, and one that is not there refuses at once."""

RECONNECT_AT_MOST_MS = 500
"""Longest pause between two attempts to connect: a server that is back is used within a second.
gRPC's own pause grows to two minutes."""


def channel_options(url: str) -> ChannelOptions:
    """The options of a gRPC channel to host:port, as tritonclient and grpc take them."""
    options = [
        # Raw frames are more than gRPC's limit of 4 MB.
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_AT_MOST_MS),
    ]
    if is_loopback(url):
        # $http_proxy is for other machines (grpc#29718).
        options.append(("grpc.enable_http_proxy", 0))
    return options


def is_loopback(url: str) -> bool:
    """Whether host:port is on this machine; names but "localhost" are not looked up."""
    host = url.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
