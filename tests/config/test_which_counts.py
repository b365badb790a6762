"""Which configuration counts: an option, then the environment, then a file that the proxy finds by itself."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.commands.environment import ALWAYS, choose, variables
from proxy.config.camunda.sources import made_for_clients
from proxy.config.load import load
from proxy.config.model import Config, OAuth2, SecretRef
from proxy.errors import ConfigError

CONFIG = "CAMUNDA_AUTH_PROXY_CONFIG"
SELF_CONTAINED = (
    "credentials: {c: {type: bearer, token: canary}}\nupstreams: {zeebe: {url: 'http://yaml.example'}}\n"
)
ENCRYPTED = SELF_CONTAINED.replace("http:", "https:")
TAKES = SELF_CONTAINED.replace("canary", "'${CAMUNDA_CLIENT_SECRET}'")
PROD = {
    "CAMUNDA_REST_ADDRESS": "https://prod.example",
    "CAMUNDA_OAUTH_URL": "https://idp.example/token",
    "CAMUNDA_CLIENT_ID": "prod",
    "CAMUNDA_CLIENT_SECRET": "canary-prod",
}
TEST = {
    "ZEEBE_REST_ADDRESS": "https://test.example",
    "CAMUNDA_OPERATE_BASE_URL": "https://operate.test.example",
    "ZEEBE_AUTHORIZATION_SERVER_URL": "https://idp.test.example/token",
    "ZEEBE_CLIENT_ID": "test",
    "ZEEBE_CLIENT_SECRET": "canary-test",
}
YAML = "camunda-auth-proxy.yaml"


def wrote(folder: Path, prod: Mapping[str, str] = PROD) -> Path:
    (folder / "prod.txt").write_text("".join(f"export {name}='{value}'\n" for name, value in prod.items()))
    (folder / "prod.txt").chmod(0o600)
    return Path("prod.txt")


def read(
    folder: Path,
    environ: Mapping[str, str] | None = None,
    config: str | None = None,
    env_file: str | None = None,
) -> Config:
    return load(
        config=Path(config) if config else None,
        env_file=Path(env_file) if env_file else None,
        environ=environ or {},
        directory=folder,
    )


def refused(folder: Path, environ: Mapping[str, str] | None = None, **options: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, environ, **options)
    assert "canary" not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def urls(config: Config) -> list[str]:
    assert "canary" not in "".join(config.notices)
    return [str(upstream.url) for upstream in config.upstreams]


def client(config: Config) -> OAuth2:
    credential = config.credentials["camunda"]
    assert isinstance(credential, OAuth2)
    return credential


def test_a_file_of_variables_counts_before_a_shell_with_another_one(tmp_path: Path) -> None:
    wrote(tmp_path)
    config = read(tmp_path, TEST, env_file="prod.txt")
    assert urls(config) == ["https://prod.example"]
    assert (client(config).client_id, client(config).token_url) == ("prod", "https://idp.example/token")
    (notice,) = config.notices
    assert notice == (
        "the environment sets CAMUNDA_OPERATE_BASE_URL, ZEEBE_AUTHORIZATION_SERVER_URL, ZEEBE_CLIENT_ID, "
        "ZEEBE_CLIENT_SECRET, ZEEBE_REST_ADDRESS otherwise; --env-file prod.txt is used, and these are not"
    )
    assert config.origin == "the variables of --env-file prod.txt"


def test_a_shell_with_the_same_variables_is_no_news(tmp_path: Path) -> None:
    wrote(tmp_path)
    aliases = {"ZEEBE_CLIENT_ID": "prod", "CAMUNDA_CLIENT_AUTH_CLIENTSECRET": "canary-prod"}
    assert read(tmp_path, {**PROD, **aliases}, env_file="prod.txt").notices == ()


def test_a_secret_that_the_file_lacks_may_come_from_the_environment(tmp_path: Path) -> None:
    wrote(tmp_path, {name: value for name, value in PROD.items() if "SECRET" not in name})
    config = read(tmp_path, {"ZEEBE_CLIENT_SECRET": "canary"}, env_file="prod.txt")
    assert client(config).client_secret == SecretRef(text="canary")
    assert config.notices == ()
    assert config.origin == "the variables of --env-file prod.txt, and of the environment ZEEBE_CLIENT_SECRET"


@pytest.mark.parametrize("lacking", ["CAMUNDA_OAUTH_URL", "CAMUNDA_CLIENT_ID", "CAMUNDA_REST_ADDRESS"])
def test_nothing_else_is_put_together_from_both(tmp_path: Path, lacking: str) -> None:
    """Else a secret of one environment could go to the token endpoint of another one."""
    wrote(tmp_path, {name: value for name, value in PROD.items() if name != lacking})
    if lacking == "CAMUNDA_REST_ADDRESS":
        assert "https://test.example" in urls(read(tmp_path, TEST, env_file="prod.txt")), (
            "a whole group may be"
        )
        return
    (problem,) = refused(tmp_path, TEST, env_file="prod.txt")
    assert problem.startswith(f"{lacking}: is missing")


def test_a_file_of_variables_counts_before_a_yaml_file_found_by_itself(tmp_path: Path) -> None:
    (tmp_path / YAML).write_text(SELF_CONTAINED)
    (tmp_path / YAML).chmod(0o600)
    wrote(tmp_path)
    config = read(tmp_path, env_file="prod.txt")
    assert urls(config) == ["https://prod.example"]
    assert config.notices == (
        f"{YAML} is not used, because --env-file prod.txt counts before it; --config uses the file",
    )
    named = read(tmp_path, {CONFIG: YAML}, env_file="prod.txt")
    assert urls(named) == ["https://prod.example"]
    assert named.notices == (
        f"{CONFIG} is not used, because --env-file prod.txt counts before it; --config uses the file",
    )


def test_a_yaml_file_that_takes_variables_of_the_file_counts_with_it(tmp_path: Path) -> None:
    (tmp_path / YAML).write_text(TAKES)
    wrote(tmp_path)
    for environ in ({}, {CONFIG: YAML}):
        config = read(tmp_path, environ, env_file="prod.txt")
        assert urls(config) == ["http://yaml.example"]
        assert config.origin.endswith(", with variables of --env-file prod.txt)")


def test_a_variable_comes_from_the_file_then_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "f.env").write_text("A=19111\n")
    (tmp_path / "f.env").chmod(0o600)
    one, two = (f"{name}: {{url: 'https://x', listen: '${{{name}}}'}}" for name in "AB")
    (tmp_path / "c.yaml").write_text(f"credentials: {{c: {{type: none}}}}\nupstreams: {{{one}, {two}}}")
    config = read(tmp_path, {"A": "19000", "B": "19222"}, "c.yaml", "f.env")
    assert [upstream.listen.port for upstream in config.upstreams] == [19111, 19222]
    assert config.notices == (
        "the environment sets A otherwise; --env-file f.env is used, and these are not",
    )


def test_an_option_that_is_not_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / YAML).write_text(SELF_CONTAINED)
    wrote(tmp_path)
    (tmp_path / "other.env").write_text("FOO=canary\n")
    for options in ({"config": YAML, "env_file": "prod.txt"}, {"env_file": "other.env"}):
        (problem,) = refused(tmp_path, {}, **options)
        assert problem == (
            f"--env-file {options['env_file']}: is not used: {YAML} takes no variable from it; "
            "write ${NAME} there, or leave it out"
        )


def test_the_environment_counts_before_a_yaml_file_found_by_itself(tmp_path: Path) -> None:
    (tmp_path / YAML).write_text(SELF_CONTAINED)
    config = read(tmp_path, PROD)
    assert (urls(config), config.origin) == (["https://prod.example"], "the variables of the environment")
    assert config.notices == (
        f"{YAML} is not used, because the environment counts before it; --config uses the file",
    )


@pytest.mark.parametrize("lacking", PROD)
def test_an_environment_that_is_no_whole_configuration_does_not_count(tmp_path: Path, lacking: str) -> None:
    (tmp_path / YAML).write_text(SELF_CONTAINED)
    environ = {name: value for name, value in PROD.items() if name != lacking}
    assert urls(read(tmp_path, environ)) == ["http://yaml.example"]


def test_on_saas_an_environment_needs_no_token_endpoint(tmp_path: Path) -> None:
    (tmp_path / YAML).write_text(SELF_CONTAINED)
    environ = {**PROD, "CAMUNDA_OAUTH_URL": "", "CAMUNDA_REST_ADDRESS": "https://bru-2.api.camunda.io/x"}
    assert urls(read(tmp_path, environ)) == ["https://bru-2.api.camunda.io/x"]


def test_a_yaml_file_that_takes_variables_of_the_environment_counts(tmp_path: Path) -> None:
    (tmp_path / YAML).write_text(TAKES)
    config = read(tmp_path, PROD)
    assert (urls(config), config.notices, config.origin) == (
        ["http://yaml.example"],
        ("credential `c` is sent unencrypted to http://yaml.example; use https://",),
        f"{YAML} (found by itself)",
    )


def test_an_environment_that_a_named_file_overrules_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(SELF_CONTAINED.replace("http:", "https:"))
    (tmp_path / "c.yaml").chmod(0o600)
    sentence = (
        "of the environment not used, because c.yaml counts: CAMUNDA_CLIENT_ID, CAMUNDA_CLIENT_SECRET, "
        "CAMUNDA_OAUTH_URL, CAMUNDA_REST_ADDRESS"
    )
    assert read(tmp_path, PROD, "c.yaml").notices == (sentence,)
    assert read(tmp_path, {**PROD, CONFIG: "c.yaml"}).notices == (sentence,)
    assert read(tmp_path, {"CAMUNDA_CLIENT_ID": "a"}, "c.yaml").notices == ()


def test_our_own_variable_that_an_option_overrules_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(SELF_CONTAINED.replace("http:", "https:"))
    (tmp_path / "c.yaml").chmod(0o600)
    config = read(tmp_path, {CONFIG: "canary.yaml"}, "c.yaml")
    assert config.notices == (f"{CONFIG} is not used, because --config names another file",)
    assert config.origin == "c.yaml (named by --config)"
    assert read(tmp_path, {CONFIG: "c.yaml"}, "c.yaml").notices == ()


def test_a_file_that_our_own_variable_names_and_that_is_not_there_is_told_without_its_name(
    tmp_path: Path,
) -> None:
    (problem,) = refused(tmp_path, {CONFIG: "canary"})
    assert problem == f"the file that {CONFIG} names: does not exist"


def printed(tmp_path: Path) -> dict[str, str]:
    """What `env` prints for all presets."""
    names = ("zeebe", "operate", "tasklist", "optimize", "console", "modeler")
    upstreams = ", ".join(f"{name}: {{url: 'https://{name}.example'}}" for name in names)
    (tmp_path / "all.yaml").write_text(f"credentials: {{c: {{type: none}}}}\nupstreams: {{{upstreams}}}")
    chosen, _ = choose(read(tmp_path, config="all.yaml").upstreams)
    return variables(chosen, {})


def test_variables_that_env_printed_do_not_stop_the_proxy_in_the_same_shell(tmp_path: Path) -> None:
    mine = printed(tmp_path)
    assert made_for_clients(mine) == mine.keys()
    wrote(tmp_path)
    config = read(tmp_path, mine, env_file="prod.txt")
    assert urls(config) == ["https://prod.example"]
    (notice,) = config.notices
    assert notice.endswith("point at this proxy itself, so they are for its clients and are not used here")
    assert set(notice.partition(" point")[0].split(", ")) == mine.keys()


def test_other_ports_of_ours_are_known_by_what_env_prints_beside_them(tmp_path: Path) -> None:
    other = {**ALWAYS, "CAMUNDA_REST_ADDRESS": "http://127.0.0.1:40000"}
    assert made_for_clients(other) == other.keys()
    assert not made_for_clients({**other, "CAMUNDA_AUTH_STRATEGY": "BASIC"})
    assert not made_for_clients(ALWAYS)


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("http://localhost:19080", True),
        ("http://127.0.0.1:19081/", True),
        ("http://[::1]:19083", True),
        ("http://localhost:8080", False),
        ("http://camunda.example:19080", False),
        ("http://[canary", False),
        ("http://localhost:canary", False),
    ],
)
def test_an_address_of_ours_is_a_port_of_a_preset_on_this_machine(address: str, ours: bool) -> None:
    assert bool(made_for_clients({"CAMUNDA_REST_ADDRESS": address})) is ours


def test_a_cluster_of_the_same_shell_is_still_used(tmp_path: Path) -> None:
    """`source credentials.txt; eval "$(camunda-auth-proxy env)"; camunda-auth-proxy run`."""
    cluster = {
        "CAMUNDA_CLUSTER_ID": "5c34c0a7-0000-4000-8000-000000000000",
        "CAMUNDA_CLUSTER_REGION": "bru-2",
    }
    secret = {"CAMUNDA_CLIENT_ID": "a", "CAMUNDA_CLIENT_SECRET": "canary"}
    config = read(tmp_path, {**printed(tmp_path), **cluster, **secret})
    assert [upstream.name for upstream in config.upstreams] == ["zeebe", "operate", "tasklist", "optimize"]
    assert all("camunda.io" in url for url in urls(config))


def test_without_another_address_each_of_ours_is_told(tmp_path: Path) -> None:
    mine = {"CAMUNDA_REST_ADDRESS": "http://localhost:19080", "CAMUNDA_AUTH_STRATEGY": "NONE"}
    problems = refused(tmp_path, mine)
    assert problems[0].startswith("CAMUNDA_REST_ADDRESS: leads back to this proxy")
    assert "three ways to begin" in problems[1]


def test_names_that_spring_takes_count_in_the_environment_too(tmp_path: Path) -> None:
    environ = {
        "ZEEBE_CLIENT_CLOUD_CLUSTER-ID": "5c34c0a7-0000-4000-8000-000000000000",
        "ZEEBE_CLIENT_CLOUD_REGION": "bru-2",
        "ZEEBE_CLIENT_CLOUD_CLIENT-ID": "a",
        "ZEEBE_CLIENT_CLOUD_CLIENT-SECRET": "canary",
    }
    assert client(read(tmp_path, environ)).client_secret == SecretRef(text="canary")


@pytest.mark.parametrize("source", ["environment", "file"])
def test_the_proxy_of_the_environment_is_obeyed_where_variables_are_the_configuration(
    tmp_path: Path, source: str
) -> None:
    proxied = {"HTTPS_PROXY": "http://u:canary@proxy.example:3128", "NO_PROXY": "idp.example"}
    wrote(tmp_path, {**PROD, **(proxied if source == "file" else {})})
    config = read(tmp_path, proxied if source == "environment" else {}, env_file="prod.txt")
    assert str(config.upstreams[0].http_proxy) == "http://proxy.example:3128"
    assert client(config).http_proxy is None
    lower = {"https_proxy": "proxy.example:3128"}
    assert str(read(tmp_path, {**PROD, **lower}).upstreams[0].http_proxy) == "http://proxy.example:3128"
    (problem,) = dict.fromkeys(refused(tmp_path, {**PROD, "HTTPS_PROXY": "socks5://canary:1"}))
    assert problem.startswith("HTTPS_PROXY: must begin with http://, as in http://HOST:PORT")


def test_our_own_variables_count_in_the_file_too(tmp_path: Path) -> None:
    ours = {"CAMUNDA_AUTH_PROXY_LOG_LEVEL": "debug", "CAMUNDA_AUTH_PROXY_ADMIN_LISTEN": "19190"}
    wrote(tmp_path, {**PROD, **ours, CONFIG: "canary"})
    config = read(tmp_path, {"CAMUNDA_AUTH_PROXY_LOG_LEVEL": "error"}, env_file="prod.txt")
    assert (config.log.level, config.admin.listen.port) == ("debug", 19190)
    assert config.notices == (f"{CONFIG} is not read from --env-file; name the file with --config",)


def test_a_variable_that_looks_like_ours_and_is_not_known_is_told(tmp_path: Path) -> None:
    environ = {**PROD, "CAMUNDA_AUTH_PROXY_LOGLEVEL": "debug"}
    assert read(tmp_path, environ).notices == (
        "CAMUNDA_AUTH_PROXY_LOGLEVEL is not known; did you mean CAMUNDA_AUTH_PROXY_LOG_LEVEL?",
    )


def test_variables_that_kubernetes_sets_for_services_are_no_news(tmp_path: Path) -> None:
    services = ("CAMUNDA_AUTH_PROXY", "CAMUNDA_ZEEBE_GATEWAY", "ZEEBE")
    ends = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR")
    environ = {f"{service}_{end}": "tcp://10.0.0.1:80" for service in services for end in ends}
    assert read(tmp_path, {**PROD, **environ}).notices == ()


def test_a_file_that_ends_in_yml_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "camunda-auth-proxy.yml").write_text(ENCRYPTED)
    config = read(tmp_path)
    assert config.origin == "camunda-auth-proxy.yml (found by itself)"
    assert config.notices == ()


def test_of_two_files_that_differ_in_their_ending_the_usual_one_counts_with_a_notice(tmp_path: Path) -> None:
    (tmp_path / YAML).write_text(ENCRYPTED)
    (tmp_path / "camunda-auth-proxy.yml").write_text("nonsense")
    config = read(tmp_path)
    assert config.origin == f"{YAML} (found by itself)"
    assert config.notices == (
        f"camunda-auth-proxy.yml is not used, because {YAML} counts; remove one of them",
    )
    assert read(tmp_path, config=YAML).notices == ()


def test_the_users_own_folder_may_hold_config_yml(tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".config" / "camunda-auth-proxy"
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(ENCRYPTED)
    config = read(tmp_path, {"HOME": str(tmp_path / "home")})
    assert config.source == str(folder / "config.yml")


def test_variables_that_exec_sets_for_its_command_are_known(tmp_path: Path) -> None:
    (tmp_path / YAML).write_text(ENCRYPTED)
    known = {"CAMUNDA_AUTH_PROXY_URL_ZEEBE": "http://x", "CAMUNDA_AUTH_PROXY_CALLER_TOKEN": "x"}
    assert read(tmp_path, known).notices == ()
    assert read(tmp_path, {"CAMUNDA_AUTH_PROXY_URLS": "x"}).notices != ()
