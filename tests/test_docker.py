"""Where the Dockerfile, compose.yaml, setup.cfg and the program must agree; hadolint lints it."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
import srsly
import typer
from packaging.specifiers import SpecifierSet
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from ner_lstm_component.cli import app

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
INSTRUCTIONS = re.findall(r"^([A-Z]+) (.*)$", TEXT, re.MULTILINE)
LAST = dict(INSTRUCTIONS)  # the last instruction of each name
WHEEL = "packages/en_ner_lstm-*.whl"


def test_copied_files_exist_and_are_sent():
    copies = [value.split()[:-1] for name, value in INSTRUCTIONS if name == "COPY"]
    sources = {one for copy in copies if not copy[0].startswith("--") for one in copy}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert ["requirements.txt", WHEEL] in copies  # COPY fails if none of its sources exists
    for source in sources:
        assert source == WHEEL or (ROOT / source).exists()
        assert f"!{source}" in ignored or f"!{source}/*.csv" in ignored


def test_installations_are_pinned_and_the_image_has_no_tensorflow():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    python = LAST["ARG"].removeprefix("PYTHON=python:")
    assert python in SpecifierSet(config["options"]["python_requires"])
    installations = re.findall(r"\binstall (.*?)(?:;|&&|$)", TEXT, re.MULTILINE)
    assert ["--constraint requirements.txt" in one for one in installations] == [True] * 3
    assert "[serve]" in installations[-1]
    needs = config["options"]["install_requires"] + config["options.extras_require"]["serve"]
    assert not re.search("^(tensorflow|keras|pandas)", needs, re.MULTILINE)


def test_user_command_and_port():
    user = re.fullmatch(r"([1-9]\d*):\1", LAST["USER"])[1]
    assert f"useradd --uid {user} " in LAST["RUN"]
    compose = srsly.read_yaml(ROOT / "compose.yaml")["services"]["ner"]
    program, name, *options = ast.literal_eval(LAST["ENTRYPOINT"])
    command = typer.main.get_command(app).commands[name]
    for more in (ast.literal_eval(LAST["CMD"]), compose["command"]):
        parsed = command.make_context(program, [*options, *more]).params
        assert (parsed["model"], parsed["host"]) == ("en_ner_lstm", "0.0.0.0")
        assert str(parsed["port"]) == LAST["EXPOSE"] == compose["ports"][0].split(":")[1]


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_health_check(status, code, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be used
    server = make_server("127.0.0.1", 0, Response(status=status))
    _, flag, source = ast.literal_eval(LAST["HEALTHCHECK"].partition("CMD ")[2])
    source = source.replace(f"127.0.0.1:{LAST['EXPOSE']}/healthz", f"127.0.0.1:{server.port}/")
    with subprocess.Popen([sys.executable, flag, source], stderr=subprocess.DEVNULL) as process:
        server.timeout = 30
        server.handle_request()
        server.server_close()
        assert process.wait(30) == code
