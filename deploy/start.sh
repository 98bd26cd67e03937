#!/usr/bin/env bash
# A whole site on a plain Debian machine, in one folder, without root: installs, starts, stops.
#
#     deploy/start.sh start      installs what is missing, brings the database up to date, starts everything
#     deploy/start.sh stop       lets requests and jobs end, then all of it
#     deploy/start.sh restart    one process after the other, so that nobody notices (behind nginx)
#     deploy/start.sh status     0: all of it runs, 1: some of it, 3: nothing
#
# What differs comes from the environment:
#     MEALSHARE_HOME        the folder of the site: venv, mealshare.ini, var (default: the current one)
#     MEALSHARE_BASE_URL    the address that people type, for the first start (default: http://localhost:PORT)
#     MEALSHARE_PROCESSES   how many processes serve (default: 2)
#     MEALSHARE_PORT        the port of the first one on 127.0.0.1; the others follow (default: 6543)
#     MEALSHARE_EXTRAS      what to install besides, such as postgres,redis,s3
#     MEALSHARE_SUPERVISOR  1: supervisor looks after the processes (Debian: apt-get install supervisor)
#     PYTHON                the Python to make the virtual environment with (default: python3, 3.11 or newer)
# and every setting of the site, as MEALSHARE_SECTION__KEY.
set -euo pipefail

source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
home=${MEALSHARE_HOME:-$PWD}
processes=${MEALSHARE_PROCESSES:-2}
port=${MEALSHARE_PORT:-6543}
base_url=${MEALSHARE_BASE_URL:-http://localhost:$port}
extras=${MEALSHARE_EXTRAS:-}
supervisor=${MEALSHARE_SUPERVISOR:-0}

# More than server.drain_seconds, and than most jobs take.
stop_seconds=60
start_seconds=90

mkdir -p "$home"
home=$(cd "$home" && pwd)
ini=$home/mealshare.ini
bin=$home/venv/bin
run=$home/var/run
logs=$home/var/log
# Jobs have a process of their own, so those that serve are all alike.
export MEALSHARE_JOBS__ENGINE=${MEALSHARE_JOBS__ENGINE:-worker}
# Pyramid imports pkg_resources, which says at each start that it is old.
export PYTHONWARNINGS=ignore

die() {
    echo "start.sh: $*" >&2
    exit 1
}

names() {
    local number
    for ((number = 0; number < processes; number++)); do
        echo "web-$((port + number))"
    done
    [ "$MEALSHARE_JOBS__ENGINE" = embedded ] || echo worker
    if [ "$MEALSHARE_JOBS__ENGINE" = celery ]; then echo beat; fi
}

# What the process of that name runs, one word a line.
command_of() {
    case $1 in
        web-*) printf '%s\n' "$bin/pserve" "$ini" ;;
        *) printf '%s\n' "$bin/mealshare" -c "$ini" "$1" ;;
    esac
}

install_site() {
    if [ ! -x "$bin/python" ]; then
        "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or newer is needed: name it in PYTHON"
        "${PYTHON:-python3}" -m venv "$home/venv" || die "no virtual environment: apt-get install python3-venv"
    fi
    # Again only when the source is another one.
    local wanted
    wanted="${source_folder}[$extras] $(git -C "$source_folder" rev-parse HEAD 2>/dev/null || echo unknown)"
    if [ ! -x "$bin/mealshare" ] || [ "$(cat "$home/venv/installed" 2>/dev/null)" != "$wanted" ]; then
        echo "Installing; the first time this takes a minute or two ..."
        "$bin/python" -m pip --disable-pip-version-check install --quiet --upgrade "$source_folder${extras:+[$extras]}"
        echo "$wanted" > "$home/venv/installed"
    fi
    mkdir -p "$run" "$logs"
    [ -f "$ini" ] || (cd "$home" && "$bin/mealshare" init --file "$ini" --base-url "$base_url")
    (cd "$home" && "$bin/mealshare" -c "$ini" db upgrade)
}

# The process of that name, if it runs.  A number in a file may be somebody else's by now, so its command is looked at.
pid_of() {
    local pid
    pid=$(cat "$run/$1.pid" 2>/dev/null) || return 1
    [ -r "/proc/$pid/cmdline" ] || return 1
    tr '\0' '\n' < "/proc/$pid/cmdline" | grep -qxF "$ini" || return 1
    echo "$pid"
}

wait_ready() {
    [[ $1 == web-* ]] || return 0
    "$bin/python" "$source_folder/deploy/ready.py" "127.0.0.1:${1#web-}" "$start_seconds" \
        || die "$1 does not answer; its last words: $(tail -n 5 "$logs/$1.log" 2>/dev/null)"
}

start_one() {
    local name=$1 words
    if pid_of "$name" > /dev/null; then
        return
    fi
    mapfile -t words < <(command_of "$name")
    (
        cd "$home"
        if [[ $name == web-* ]]; then export MEALSHARE_SERVER__LISTEN=127.0.0.1:${name#web-}; fi
        # A session of its own: closing the terminal ends nothing.
        setsid "${words[@]}" >> "$logs/$name.log" 2>&1 < /dev/null &
        echo $! > "$run/$name.pid"
    )
    wait_ready "$name"
    echo "$name started."
}

stop_one() {
    local name=$1 pid waited=0
    pid=$(pid_of "$name") || { rm -f "$run/$name.pid"; return 0; }
    kill -TERM "$pid"
    while pid_of "$name" > /dev/null; do
        if ((waited++ >= stop_seconds * 5)); then
            echo "$name did not end in $stop_seconds seconds and is killed." >&2
            kill -KILL "$pid" 2>/dev/null || true
            break
        fi
        sleep 0.2
    done
    rm -f "$run/$name.pid"
    echo "$name stopped."
}

write_supervisor() {
    local name words
    {
        echo "[unix_http_server]"
        echo "file=$run/supervisor.sock"
        echo "chmod=0700"
        echo "[supervisord]"
        echo "pidfile=$run/supervisord.pid"
        echo "logfile=$logs/supervisord.log"
        echo "childlogdir=$logs"
        echo "minfds=20000"
        echo "[rpcinterface:supervisor]"
        echo "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface"
        echo "[supervisorctl]"
        echo "serverurl=unix://$run/supervisor.sock"
        for name in $(names); do
            mapfile -t words < <(command_of "$name")
            echo "[program:$name]"
            echo "command=${words[*]}"
            echo "directory=$home"
            if [[ $name == web-* ]]; then echo "environment=MEALSHARE_SERVER__LISTEN=\"127.0.0.1:${name#web-}\""; fi
            echo "autorestart=true"
            echo "stopwaitsecs=$stop_seconds"
            echo "redirect_stderr=true"
            echo "stdout_logfile=$logs/$name.log"
        done
    } > "$run/supervisord.conf"
}

control() {
    supervisorctl -c "$run/supervisord.conf" "$@"
}

minimum_soft_limit() {
    # supervisord ends if it cannot have as many open files as its file says.
    local limit
    limit=$(ulimit -Hn)
    [ "$limit" = unlimited ] || [ "$limit" -ge 20000 ] || sed -i "s/^minfds=.*/minfds=$limit/" "$run/supervisord.conf"
}

supervise() {
    local name
    case $1 in
        start)
            install_site
            write_supervisor
            minimum_soft_limit
            if control pid > /dev/null 2>&1; then control update; else supervisord -c "$run/supervisord.conf"; fi
            for name in $(names); do
                wait_ready "$name"
            done
            control status
            ;;
        stop)
            control shutdown
            while [ -e "$run/supervisord.pid" ] && kill -0 "$(cat "$run/supervisord.pid")" 2>/dev/null; do sleep 0.2; done
            ;;
        restart)
            for name in $(names); do
                control restart "$name"
                wait_ready "$name"
            done
            ;;
        status)
            # Its own exit code is 3 as soon as one does not run.
            local lines
            lines=$(control status 2>/dev/null) || true
            echo "$lines"
            report "$(grep -c RUNNING <<< "$lines" || true)"
            ;;
    esac
}

# The exit code for so many that run.
report() {
    local all
    all=$(names | wc -l)
    if [ "$1" -eq "$all" ]; then exit 0; fi
    if [ "$1" -eq 0 ]; then exit 3; fi
    exit 1
}

directly() {
    local name count=0
    case $1 in
        start)
            install_site
            for name in $(names); do start_one "$name"; done
            echo "MealShare is at $base_url (processes at 127.0.0.1, from port $port on)."
            ;;
        stop)
            # First those that ask for work, then those that do it.
            for name in $(names); do stop_one "$name"; done
            ;;
        restart)
            for name in $(names); do
                stop_one "$name"
                start_one "$name"
            done
            ;;
        status)
            for name in $(names); do
                if pid=$(pid_of "$name"); then
                    echo "$name runs ($pid)."
                    count=$((count + 1))
                else
                    echo "$name does not run."
                fi
            done
            report "$count"
            ;;
    esac
}

case ${1:-} in
    start | stop | restart | status) ;;
    *)
        echo "usage: start.sh {start|stop|restart|status}" >&2
        exit 2
        ;;
esac
if [ "$supervisor" = 1 ]; then
    command -v supervisord > /dev/null || die "there is no supervisord: apt-get install supervisor"
    supervise "$1"
else
    directly "$1"
fi
