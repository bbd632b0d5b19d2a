"""What a listening socket hears."""

from __future__ import annotations

import socket
import sys

import pytest

from ner_lstm_component.service.listening import ignore_new_connections


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has filters of sockets")
def test_who_is_connected_stays_and_others_are_ignored():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as client:
            assert ignore_new_connections([listener])
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.2)
            # It was in the queue, which nobody had taken it from.
            server, _ = listener.accept()
            with server:
                client.sendall(b"question")
                assert server.recv(100) == b"question"
                server.sendall(b"answer")
                assert client.recv(100) == b"answer"


def test_what_cannot_be_filtered_is_told():
    with socket.socket() as closed:
        pass
    assert not ignore_new_connections([closed])
