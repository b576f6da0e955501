"""Starts a Triton Inference Server; slots/ has the code of its Python slots."""

import os

# Read by gRPC when it is first imported. The launcher starts processes while it has a connection;
# gRPC would go on polling in each of them between fork and exec, and may crash there (grpc#43055).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
