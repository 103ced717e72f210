"""A Python kernel that listens on no TCP port: `kernel.py -f CONNECTION_FILE`.

Run as the person signed in, by the kernel's own Python, in the place of `-m ipykernel_launcher`.
ipykernel takes what forked processes print on a port of 127.0.0.1, whatever the transport of its
other sockets. Here that is a Unix socket as well, in the directory where those are.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import zmq
from ipykernel import iostream, kernelapp
from zmq.eventloop.zmqstream import ZMQStream


class PrivateIOPubThread(iostream.IOPubThread):
    """The same, but for where the pipe from forked processes begins and ends."""

    def _setup_pipe_in(self) -> None:
        self._pipe_uuid = os.urandom(16)  # the base class looks for it in every message
        pipe_in = self.socket.context.socket(zmq.PULL)
        pipe_in.linger = 0
        pipe_in.bind(self._pipe_address)
        self._pipe_in = ZMQStream(pipe_in, self.io_loop)
        self._pipe_in.on_recv(self._handle_pipe_msg)

    def _setup_pipe_out(self) -> tuple[Any, Any]:
        context = zmq.Context()  # a new one: this process has been forked
        pipe_out = context.socket(zmq.PUSH)
        pipe_out.linger = 3000
        pipe_out.connect(self._pipe_address)
        return context, pipe_out

    @property
    def _pipe_address(self) -> str:
        return f"ipc://{os.environ['JUPYTER_RUNTIME_DIR']}/pipe-{self._master_pid}"


if __name__ == "__main__":
    del sys.path[0]  # the directory of this file is not for people's imports
    kernelapp.IOPubThread = PrivateIOPubThread
    kernelapp.launch_new_instance()
