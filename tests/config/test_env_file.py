"""Files of variables: what is read, what is left out, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.written.env_file import EnvFile, as_variable, read_env_file
from proxy.errors import ConfigError

ENVIRON = {"HOST": "camunda.example", "EMPTY": ""}


def read(text: str) -> EnvFile:
    return read_env_file(text, "f", ENVIRON)


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert "canary" not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=x", "x"),
        ("export A='x y'", "x y"),
        ('A="x"', "x"),
        ("  export   A = x  ", "x"),
        ("A=", ""),
        ("A=''", ""),
        ("A=x#y", "x#y"),
        ("A=x # comment", "x"),
        ("A='x#y' # comment", "x#y"),
        ("A=a=b", "a=b"),
        ("A='x'\r", "x"),
        ('A="it\'s"', "it's"),
        ("A=# comment", ""),
        ("A='$HOME'", "$HOME"),
        ("A=$HOST", "$HOST"),
        # as shells print them
        ('declare -x A="x"', "x"),
        ("readonly A=x", "x"),
        ("A='it'\"'\"'s'", "it's"),
        ("export A='x';", "x"),
        # PowerShell, Windows
        ("$env:A = 'x'", "x"),
        ('$Env:A="x"', "x"),
        ("${env:A} = 'x'", "x"),
        ("set A=x", "x"),
        # quotes
        (r'A="a\"b\\c\$d"', 'a"b\\c$d'),
        (r'A="a\nb"', r"a\nb"),
        (r"A='a\b'", r"a\b"),
        ("A='one\r\ntwo' # comment", "one\ntwo"),
        ("A='one \n two'", "one \n two"),
        ('A="-----BEGIN X-----\nabc\n-----END X-----"', "-----BEGIN X-----\nabc\n-----END X-----"),
        # ${NAME}
        ("A=https://${HOST}/x", "https://camunda.example/x"),
        ('A="${HOST}"', "camunda.example"),
        ("A='${HOST}'", "${HOST}"),
        ("A=${NO:-d}", "d"),
        ("A=${EMPTY:-d}", "d"),
        ("A=${EMPTY}", ""),
        ("A=$${HOST}", "${HOST}"),
        (r'A="\${HOST}"', "${HOST}"),
    ],
)
def test_a_line_is_a_name_and_a_value(line: str, value: str) -> None:
    file = read(f"# comment\n\n{line}\nB=after\n")
    assert (dict(file.variables), file.notices) == ({"A": value, "B": "after"}, ())


def test_the_last_of_two_lines_wins() -> None:
    assert read("A=1\r\nA=2\r\n").variables == {"A": "2"}


def test_a_reference_takes_a_line_above_before_the_environment() -> None:
    assert read("B=${HOST}\nHOST=mine\nA=${HOST} ${B}\n").variables["A"] == "mine camunda.example"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("A=${NO}", "A=the variable needs the variable NO, which is not set; set it or write ${NO:-default}"),
        ("CAMUNDA_X=${LATER}", "CAMUNDA_X needs the variable LATER, which is not set"),
        ("zeebe.x=canary${LATER}", "zeebe.x needs the variable LATER"),
        ("CAMUNDA_X=canary${", "CAMUNDA_X has a ${ that is not ${NAME}"),
        ("CAMUNDA_X=${canary}", "CAMUNDA_X needs a variable that is not set"),
    ],
)
def test_a_reference_that_cannot_be_replaced_makes_its_variable_unusable(line: str, why: str) -> None:
    file = read(f"{line}\nLATER=1")
    ((name, problem),) = file.unusable.items()
    assert name == as_variable(line.partition("=")[0])
    assert why.removeprefix("A=") in str(problem)
    assert str(problem).startswith("f (line 1): ")
    assert "if the ${ is part of the value, put it in single quotes" in str(problem)
    assert "canary" not in str(problem)
    assert file.variables == {"LATER": "1"}
    assert not read(f"{line}\n{line.partition('=')[0]}=later").unusable


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("ZEEBE_CLIENT_CLOUD_CLUSTER-ID", "ZEEBE_CLIENT_CLOUD_CLUSTERID"),
        ("camunda.client.auth.client-id", "CAMUNDA_CLIENT_AUTH_CLIENTID"),
        ("zeebe.client.cloud.clusterId", "ZEEBE_CLIENT_CLOUD_CLUSTERID"),
    ],
)
def test_a_name_that_spring_takes_is_read_as_spring_does(name: str, variable: str) -> None:
    file = read(f"{name}=x")
    assert (dict(file.variables), dict(file.spelled), file.notices) == ({variable: "x"}, {variable: name}, ())
    for text in (f"{name}=x\n{variable}=y", f"{variable}=y\n{name}=x"):
        assert read(text).variables == {variable: "y"}, "the usual form is preferred"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        *((line, "it is a shell command") for line in ("set -a", "set +a", ". ./canary", "unset canary")),
        *((line, "it is a shell command") for line in ("source canary", "echo canary", "cd canary")),
        *(
            (line, "it is a comment of another format")
            for line in ("; canary", "// canary", "--canary", "!c")
        ),
        *((line, "it is a comment of another format") for line in ("REM canary", "@echo off", ":: canary")),
        ("[canary]", "it is a heading"),
        ("-----BEGIN CERTIFICATE-----", "it is a part of a certificate or key without quotes"),
        ("my-canary.x=y", "no shell takes its name, which has a - or ."),
        ("CAMUNDA_CLIENT_ID", "it has no value"),
    ],
)
def test_a_foreign_line_is_left_out_with_a_notice_that_does_not_repeat_it(line: str, why: str) -> None:
    file = read(f"A=1\n{line}\nB=2")
    assert file.variables == {"A": "1", "B": "2"}
    assert file.notices == (f"f (line 2): the line is left out, because {why}",)


def test_a_name_alone_takes_the_value_of_the_environment_as_docker_does() -> None:
    file = read("HOST\nA=1")
    assert (dict(file.variables), file.notices) == ({"A": "1"}, ())


@pytest.mark.parametrize(
    ("line", "what"),
    [
        *(
            (line, "is YAML (NAME: value)")
            for line in ("A: canary", "A:", "a.b: canary", "CAMUNDA_X: 'canary'")
        ),
        ("- A=canary", "is an entry of a YAML list"),
        *((line, "is JSON") for line in ("{", "},", '"A": "canary",', "'A': 1")),
        *((line, "is an option of docker run") for line in ("-e A=canary", "--env A=canary")),
        ("setx A canary", "is a command of Windows"),
        ("setenv A canary", "is a command of csh"),
        ("canary", "is not NAME=value, a comment or a blank line"),
        ("1A=canary", "is not NAME=value, a comment or a blank line"),
        ("https://canary", "is not NAME=value, a comment or a blank line"),
        ("CANARY", "is not NAME=value, a comment or a blank line"),
        ("A='canary", "has a quote that is not closed"),
        ("A='canary' canary", "or text after the closing quote"),
        ('A="canary"canary', "or text after the closing quote"),
    ],
)
def test_a_line_that_may_be_meant_as_a_variable_is_refused_with_its_format(line: str, what: str) -> None:
    (problem,) = refused(f"B=1\n{line}\nC=2")
    assert problem.startswith(f"f (line 2): {what}") or (what in problem and "(line 2)" in problem)


def test_malformed_lines_are_all_reported_by_number_and_never_shown() -> None:
    problems = refused("canary\nA=1\nexport B='canary\n1C=canary\nD='canary' canary")
    assert [problem.partition(":")[0] for problem in problems] == [f"f (line {n})" for n in (1, 3, 4, 5)]


def test_references_cannot_make_a_file_grow_without_end() -> None:
    lines = "\n".join(f"A{n + 1}=${{A{n}}}${{A{n}}}" for n in range(60))
    (problem,) = refused(f"A0=xxxxxxxx\n{lines}")
    assert "holds more than 4MiB of text after ${NAME} is replaced" in problem


@given(st.text(alphabet=st.characters(exclude_characters="'\r"), max_size=40))
def test_a_quoted_value_stays_as_it_is(value: str) -> None:
    assert read(f"export A='{value}'").variables == {"A": value}


@given(st.text(max_size=20))
def test_no_value_is_in_a_notice_or_a_problem(text: str) -> None:
    value = f"canary{text}"
    for line in (
        f"X-Y={value}",
        f"CAMUNDA_A='{value}'",
        f'A.B="${{{value}"',
        value,
        f"set {value}",
        f"a: {value}",
    ):
        said = ""
        try:
            file = read(f"{line}\n")
            said = f"{file.notices}{[str(problem) for problem in file.unusable.values()]}{file!r}"
        except ConfigError as error:
            said = str(error)
        assert "canary" not in said
