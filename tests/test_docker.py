"""What the Dockerfile says, as far as it can be held without Docker."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import NamedTuple

import pytest
import srsly
import typer
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from werkzeug.serving import make_server

ROOT = Path(__file__).parents[1]
# Of folders that are copied, what building and training read.
NEEDED = {".py", ".pyx", ".jinja", ".html", ".css", ".js", ".svg", ".cfg", ".csv", ".json"}
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Instruction(NamedTuple):
    stage: int
    name: str
    value: str

    @property
    def words(self) -> list[str]:
        """The value's parts: JSON, or as a shell splits them."""
        _, bracket, rest = self.value.partition("[")
        return json.loads(bracket + rest) if bracket else shlex.split(self.value)


def read_dockerfile() -> Iterator[Instruction]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", "")
    stage = -1
    for line in filter(None, text.splitlines()):
        name, value = line.split(maxsplit=1)
        stage += name == "FROM"
        yield Instruction(stage, name, value)


INSTRUCTIONS = list(read_dockerfile())
LAST = max(instruction.stage for instruction in INSTRUCTIONS)


def last(name: str) -> Instruction:
    """The one instruction of this name in the last stage."""
    (found,) = [i for i in INSTRUCTIONS if i.name == name and i.stage == LAST]
    return found


def setup(section: str, key: str) -> list[str]:
    """The lines of a setting in setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return [line for line in config[section][key].splitlines() if line and line[0] != "#"]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a file through: its last line that matches decides."""
    above = [path, *(parent.as_posix() for parent in Path(path).parents)]
    sent = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if not line.startswith("#") and any(fnmatch.fnmatchcase(p, pattern) for p in above):
            sent = line.startswith("!")
    return sent


def copied() -> list[str]:
    """What is copied from the folder of the project, a wheel left out that may be missing."""
    sources = []
    for instruction in INSTRUCTIONS:
        if instruction.name == "COPY" and not instruction.value.startswith("--from"):
            sources += instruction.words[:-1]
    return [source for source in sources if not source.startswith("packages/")]


def test_every_copied_file_exists_and_is_sent():
    assert {"ner_lstm_component", "requirements.txt", "corpus", "configs"} <= set(copied())
    for source in copied():
        path = ROOT / source
        assert path.exists(), source
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.suffix in NEEDED]
        assert files, source
        for file in files:
            assert is_sent(file.relative_to(ROOT).as_posix()), file


def test_nothing_else_is_sent():
    assert is_sent("packages/en_ner_lstm-0.1.0-py3-none-any.whl")
    for path in (
        ".git/config",
        "training/model-best/meta.json",
        "assets/ner_dataset.csv",
        "corpus/train.spacy",
        "packages/ner_lstm_component-0.1.0-py3-none-any.whl",
    ):
        assert not is_sent(path), path


def test_a_missing_wheel_does_not_end_the_build():
    """COPY fails if none of its sources is there: one that always is stands beside the wheel."""
    (copy,) = [i for i in INSTRUCTIONS if "packages/en_ner_lstm-*.whl packages/" in i.value]
    assert set(copy.words) & set(copied())


def test_stages_copy_from_stages_that_exist():
    names = [i.value.partition(" AS ")[2] for i in INSTRUCTIONS if i.name == "FROM"]
    for instruction in INSTRUCTIONS:
        if match := re.match(r"--from=(\S+)", instruction.value):
            assert match[1] in names[: instruction.stage]


def test_python_is_one_that_the_package_runs_on():
    (argument,) = [i.value for i in INSTRUCTIONS if i.name == "ARG"]
    version = re.fullmatch(r"PYTHON=python:([\d.]+)", argument)[1]
    assert version in SpecifierSet(setup("options", "python_requires")[0])
    bases = [i.value for i in INSTRUCTIONS if i.name == "FROM" and "$" in i.value]
    assert [base.split()[0] for base in bases] == ["${PYTHON}", "${PYTHON}-slim"]


def test_every_installation_is_pinned():
    runs = [i.value for i in INSTRUCTIONS if i.name == "RUN"]
    installations = re.findall(r"pip .*?\binstall (.*?)(?:;|&&|$)", "\n".join(runs), re.MULTILINE)
    assert len(installations) == 3
    for arguments in installations:
        assert "--constraint requirements.txt" in arguments


def test_the_last_stage_has_no_tensorflow():
    """It takes over the environment, where one extra is installed: nothing it needs leads there."""
    (environment,) = [i.value for i in INSTRUCTIONS if "--without-pip" in i.value]
    extras = re.findall(r"\.whl\)\[(\w+)\]", environment)
    assert extras == ["serve"]
    assert last("COPY").value == "--from=environment /opt/venv /opt/venv"

    todo = setup("options", "install_requires") + setup("options.extras_require", "serve")
    needed: set[str] = set()
    while todo:
        requirement = Requirement(todo.pop())
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in requirement.extras or {""}
        ):
            continue
        if requirement.name.lower() in needed:
            continue
        needed.add(requirement.name.lower())
        try:
            todo += requires(requirement.name) or []
        except PackageNotFoundError:  # of another platform
            continue
    assert {"spacy", "onnxruntime", "flask"} <= needed
    assert not {n for n in needed if re.match("tensorflow|keras|pandas|scikit|matplotlib", n)}


def test_user_has_no_rights():
    user = re.fullmatch(r"(\d+):\d+", last("USER").value)
    assert int(user[1]) > 0
    assert f"--uid {user[1]} " in last("RUN").value


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_command_is_one_of_the_package():
    from ner_lstm_component.cli import app

    # What follows the image's name takes the place of CMD.
    program, name, *arguments = [*last("ENTRYPOINT").words, *last("CMD").words]
    scripts = setup("options.entry_points", "console_scripts")
    assert f"{program} = ner_lstm_component.cli:app" in scripts
    command = typer.main.get_command(app).commands[name]
    parsed = command.make_context(name, arguments).params
    assert parsed["model"] == "en_ner_lstm"
    assert parsed["host"] == "0.0.0.0"
    assert str(parsed["port"]) == last("EXPOSE").value
    compose = srsly.read_yaml(ROOT / "compose.yaml")["services"]["ner"]
    command.make_context(name, [*last("ENTRYPOINT").words[2:], *compose["command"]])
    assert compose["ports"] == [f"4000:{last('EXPOSE').value}"]


def test_ports_are_one():
    port = last("EXPOSE").value
    assert option(last("ENTRYPOINT").words, "--port") == port
    assert f"http://127.0.0.1:{port}/healthz" in last("HEALTHCHECK").words[-1]
    (published,) = re.findall(r"docker run .*-p (\d+):(\d+) ner-flask-app\n", README)
    assert published[1] == port
    assert f"http://127.0.0.1:{published[0]}/" in README
    assert "docker build -t ner-flask-app .\n" in README


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_health_check(status, code, monkeypatch):
    """Run as it stands, but for the port; a proxy that is set for other addresses is not asked."""
    asked = []

    def application(environ, start_response):
        asked.append(environ["PATH_INFO"])
        start_response(status, [])
        return [b""]

    server = make_server("127.0.0.1", 0, application)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    _, flag, source = last("HEALTHCHECK").words
    source = source.replace(f":{last('EXPOSE').value}/", f":{server.port}/")
    with subprocess.Popen([sys.executable, flag, source], stderr=subprocess.DEVNULL) as process:
        server.timeout = 30
        server.handle_request()
        assert process.wait(30) == code
    server.server_close()
    assert asked == ["/healthz"]
