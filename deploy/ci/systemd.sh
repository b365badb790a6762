#!/usr/bin/env bash
# The units of deploy/systemd: judged by systemd-analyze, then run by a real systemd as their users would, with the
# simulated Camunda behind it. That systemd is PID 1 of its own namespaces (processes, mounts, network, cgroups). It does
# not use this machine's systemd, if there is one, and all of it ends with the script.
source "$(dirname "$0")/lib.sh"

SELF="$ROOT/deploy/ci/systemd.sh"
UNITS="$ROOT/deploy/systemd"
HOME_OF_USER=/run/laptop # of the user who starts the user unit
RUNTIME="$HOME_OF_USER/runtime"
URL=http://127.0.0.1:19080/v2/topology
METRICS=http://127.0.0.1:19090/metrics

main() {
  need systemctl systemd
  need unshare util-linux
  need ip iproute2
  need curl curl
  need pgrep procps
  python_of_the_system
  namespaces
  online install_as_the_unit_says
  for unit in camunda-auth-proxy camunda-auth-proxy-user; do inside judged "$unit"; done
  inside units_in_place
  booted
  inside system_service
  inside user_service
  done_ok "$(systemctl --version | sed 1q)"
}

# Not the first python3 in PATH, because the unit cannot see one in a home folder.
python_of_the_system() {
  ! /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || return 0
  apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null
  apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends python3 python3-venv >/dev/null
}

# namespaces: a shell that waits in them, and what `inside` needs to join it.
namespaces() {
  own_cgroup
  (
    echo "$BASHPID" >"$CGROUP/cgroup.procs"
    exec unshare --pid --mount --net --uts --ipc --cgroup --fork --kill-child "$SELF" --init "$W"
  ) >"$W/init.log" 2>&1 &
  UNSHARE=$!
  # shellcheck disable=SC2016 # expanded at the exit
  at_exit '{ kill -KILL "$UNSHARE"; wait "$UNSHARE"; } 2>/dev/null; give_cgroup_back'
  await 30 "namespaces ($(cat "$W/init.log"))" test -p "$W/go"
  INIT="$(pgrep --parent "$UNSHARE")"
}

# own_cgroup: systemd makes its groups below this one, whatever version this machine has.
own_cgroup() {
  local at=/sys/fs/cgroup
  [ ! -d $at/systemd ] || at=$at/systemd
  CGROUP="$at/camunda-auth-proxy-ci-$$"
  mkdir "$CGROUP"
}
give_cgroup_back() {
  await 10 "end of all processes" sh -c "find '$CGROUP' -depth -type d -exec rmdir {} + 2>/dev/null; ! test -e '$CGROUP'"
}

# init FOLDER: the first process of the namespaces. Becomes systemd when FOLDER/go says so.
init() {
  rm -rf "$W" # of this process: it ends by exec, or is killed
  mount --make-rprivate /
  mount --make-rshared / # as systemd does at a real boot: LoadCredential mounts in a namespace and lets it propagate
  mount -t proc proc /proc
  local layers=/run folder
  mount -t tmpfs -o mode=755 tmpfs $layers
  for folder in etc var opt; do
    mkdir -p "$layers/up/$folder" "$layers/work/$folder"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$layers/up/$folder,workdir=$layers/work/$folder" "/$folder"
  done
  if [ -d /sys/fs/cgroup/systemd ]; then
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  fi
  ip link set lo up
  mkfifo "$1/go"
  read -r _ <"$1/go"
  # Only units of this folder are used, so that no other service of this machine starts.
  exec env -i container=ci PATH="$PATH" SYSTEMD_UNIT_PATH=/run/units \
    "$(command -v /lib/systemd/systemd /usr/lib/systemd/systemd | sed 1q)" --system --unit=ci.target --log-target=journal --show-status=no
}

# inside FUNCTION ARGUMENT...: in the namespaces.
inside() { nsenter --target "$INIT" --all "$SELF" --inside "$@" || { tail -n 20 "$W/init.log" >&2; die "$*"; }; }

# online FUNCTION: with their files, and this machine's network.
online() { nsenter --target "$INIT" --mount "$SELF" --inside "$@" || die "$*"; }

install_as_the_unit_says() {
  local line
  line="$(sed -n 's/^# .*\(\/usr\/bin\/python3 -m venv \/opt.*\)/\1/p' "$UNITS/camunda-auth-proxy.service")"
  cp -r "$ROOT/proxy" "$ROOT/pyproject.toml" "$ROOT/README.md" "$ROOT/LICENSE" "$(mkdir -p /run/clone && echo /run/clone)"
  (cd /run/clone && export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1 && eval "$line") || die "installing: $line"
  mkdir -p "$HOME_OF_USER"
  ln -s /opt/camunda-auth-proxy "$HOME_OF_USER/.camunda-auth-proxy"
}

# judged UNIT: no complaint (no output at all, because an unknown key is only a warning there), and locked down.
judged() {
  local said how=(--system)
  [ "$1" = camunda-auth-proxy ] || how=(--user)
  said="$(HOME="$HOME_OF_USER" XDG_RUNTIME_DIR=/run systemd-analyze "${how[@]}" verify "$UNITS/$1.service" 2>&1)" || die "$said"
  [ -z "$said" ] || die "systemd-analyze verify $1: $said"
  [ "${how[0]}" = --system ] || return 0
  systemd-analyze security --offline=true --threshold=20 "$UNITS/$1.service" >/run/security || die "$(cat /run/security)"
  say "$(grep -o 'Overall.*: [0-9.]* [A-Z]*' /run/security)"
}

units_in_place() {
  mkdir -p /run/units "$HOME_OF_USER/.config" "$RUNTIME"
  configured /etc/camunda-auth-proxy
  cp /etc/camunda-auth-proxy/secrets/client_secret /run/secret
  cp "$UNITS/camunda-auth-proxy.service" /run/units
  cp /lib/systemd/system/systemd-journald{.service,.socket,-dev-log.socket} /run/units
  mkdir -p /etc/systemd/journald.conf.d
  printf '[Journal]\nReadKMsg=no\n' >/etc/systemd/journald.conf.d/ci.conf # the kernel is not ours alone
  printf '[Unit]\nWants=simulated-camunda.service systemd-journald.socket\n' >/run/units/ci.target
  local target
  for target in sysinit basic network-online shutdown multi-user sockets; do
    printf '[Unit]\nDescription=%s\n' $target >/run/units/$target.target
  done
  cat >/run/units/simulated-camunda.service <<.
[Service]
ExecStart=/opt/camunda-auth-proxy/bin/python $ROOT/deploy/ci/simulated.py localhost localhost /run/secret
ExecReload=kill -HUP \$MAINPID
.
  useradd --system --home-dir "$HOME_OF_USER" --no-create-home laptop
  # A user's own systemd, as a login starts it; without the D-Bus and PAM of a desktop.
  cat >/run/units/laptop.service <<.
[Service]
Type=notify
User=laptop
Delegate=yes
UnsetEnvironment=SYSTEMD_UNIT_PATH
Environment=XDG_RUNTIME_DIR=$RUNTIME
ExecStart=$(command -v /lib/systemd/systemd) --user --unit=ci.target
.
}

# configured FOLDER: as a new user does it, who changes only what config.yaml names.
configured() {
  install -d -m 755 "$1"
  install -d -m 700 "$1/secrets"
  (umask 077 && printf first-secret >"$1/secrets/client_secret")
  sed -e 's|https://camunda.example.com|http://localhost:8080|' -e 's|https://keycloak.example.com|http://localhost:18080|' \
    -e 's|my-client|orchestration|' "$UNITS/config.yaml" >"$1/config.yaml"
}

# booted: systemd takes over; from now on `inside` runs on a booted machine.
booted() {
  echo go >"$W/go"
  await 30 "systemd ($(tail -n 3 "$W/init.log"))" nsenter --target "$INIT" --all systemctl is-active ci.target
  await 30 "simulated Camunda" nsenter --target "$INIT" --all curl -s http://localhost:18080
}

system_service() {
  local pid begun
  begun="$(now)"
  systemctl start camunda-auth-proxy || failed
  say "system unit: start took $(since "$begun") s"
  same "answer at once after the start" 200 "$(status $URL)"
  pid="$(main_pid)"
  [ "$(field Uid "$pid")" -ge 61184 ] || die "runs as uid $(field Uid "$pid"), which is none of DynamicUser's"
  same CapEff 0000000000000000 "$(field CapEff "$pid")"
  same NoNewPrivs 1 "$(field NoNewPrivs "$pid")"
  same Seccomp 2 "$(field Seccomp "$pid")"
  # A machine may have less to give.
  same "limit of open files" "$(($(ulimit -Hn) < 65536 ? $(ulimit -Hn) : 65536))" "$(awk '/open files/ {print $4}' "/proc/$pid/limits")"
  say "uid $(field Uid "$pid"), no capability, seccomp filter, $(field VmRSS "$pid") kB resident"
  curl -s $METRICS | awk '$1 == "process_start_time_seconds" {found = $2 > 1e9} END {exit !found}' ||
    die "the process collector sees too little of /proc: $(curl -s $METRICS | grep ^process_)"
  reloaded
  killed "$pid"
  secret_rotated
  begun="$(now)"
  systemctl stop camunda-auth-proxy
  say "stop took $(since "$begun") s"
  same "result of the stop" success "$(systemctl show -P Result camunda-auth-proxy)"
  wrong_configuration
}

reloaded() {
  systemctl reload camunda-auth-proxy
  await 10 "reload" sh -c "curl -s $METRICS | grep -q 'config_reloads_total{outcome=\"ok\"} 1'"
  same "after a reload" active "$(systemctl is-active camunda-auth-proxy)"
}

# killed PID: comes back by itself.
killed() {
  kill -KILL "$1"
  await 10 "second start" sh -c "test \$(systemctl show -P NRestarts camunda-auth-proxy) -ge 1 && curl -sf $URL"
}

# secret_rotated: the loaded secret stays until the restart that the unit's comment names.
secret_rotated() {
  printf second-secret | tee /run/secret >/etc/camunda-auth-proxy/secrets/client_secret
  systemctl reload simulated-camunda
  await 10 "refusal of the old secret" sh -c "test 502 = \$(curl -s -o /dev/null -w '%{http_code}' $URL)"
  systemctl restart camunda-auth-proxy
  same "answer with the new secret" 200 "$(status $URL)"
}

# wrong_configuration: it is reported once, and the service is not restarted.
wrong_configuration() {
  mv /etc/camunda-auth-proxy/config.yaml /run/config.yaml
  echo 'upstreams: none' >/etc/camunda-auth-proxy/config.yaml
  ! systemctl start camunda-auth-proxy 2>/dev/null || die "starts with a wrong configuration"
  same "exit code" 2 "$(systemctl show -P ExecMainStatus camunda-auth-proxy)"
  same "state" failed "$(systemctl is-active camunda-auth-proxy || true)"
  mv /run/config.yaml /etc/camunda-auth-proxy/config.yaml
}

user_service() {
  configured "$HOME_OF_USER/.config/camunda-auth-proxy"
  cp /run/secret "$HOME_OF_USER/.config/camunda-auth-proxy/secrets/client_secret"
  mkdir -p "$HOME_OF_USER/.config/systemd/user"
  cp "$UNITS/camunda-auth-proxy-user.service" "$HOME_OF_USER/.config/systemd/user/camunda-auth-proxy.service"
  printf '[Unit]\n' >"$HOME_OF_USER/.config/systemd/user/ci.target"
  chown -R laptop: "$HOME_OF_USER"
  systemctl start laptop || failed
  as_laptop enable --quiet --now camunda-auth-proxy || failed
  same "answer of the user unit" 200 "$(status $URL)"
  as_laptop reload camunda-auth-proxy
  as_laptop stop camunda-auth-proxy
  same "result of the user unit's stop" success "$(as_laptop show -P Result camunda-auth-proxy)"
  systemctl stop laptop
  say "user unit: started, called, reloaded, stopped"
}

as_laptop() { setpriv --reuid=laptop --regid=laptop --clear-groups env XDG_RUNTIME_DIR="$RUNTIME" systemctl --user "$@"; }
main_pid() { systemctl show -P MainPID camunda-auth-proxy; }
field() { awk -v name="$1:" '$1 == name {print $2}' "/proc/$2/status"; }
status() { curl -s -o /dev/null -w '%{http_code}' --max-time 20 "$1" || true; }
failed() { journalctl --no-pager -n 40 >&2; die "systemctl start"; }

case "${1:-}" in
  --init) init "$2" ;;
  --inside) "${@:2}" ;;
  *) main ;;
esac
