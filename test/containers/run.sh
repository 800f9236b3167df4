#!/usr/bin/env bash
# Proves with real containers what the Dockerfile and docker-compose.yml promise: npm run test:containers
# Wants Docker 25 or newer with compose. Everything it makes has a name of its own and is removed at the end.
# DOCKER_COMPOSE may name another command than `docker compose`; KEEP=1 leaves the containers for a look.
set -euo pipefail
cd "$(dirname "$0")/../.."

read -ra compose <<<"${DOCKER_COMPOSE:-docker compose}"
compose+=(-p "countersign-test-$$")
# Short enough to see refreshes soon. Configuration and secrets are those of a fresh clone.
export DEMO_TOKEN_LIFE_SECONDS=8 DEMO_PAUSE_SECONDS=0.5
unset RELAYER_API_KEY_PATH RELAYER_API_SECRET_PATH
work=$(mktemp -d)
passed=0 failed=0

cleanup() {
  if [[ -z ${KEEP:-} ]]; then "${compose[@]}" down --volumes --rmi local --remove-orphans --timeout 5 >"$work/down" 2>&1 || cat "$work/down" >&2; fi
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# check TITLE COMMAND…: one line for one promise; what the command says only where it is broken.
check() {
  local title=$1 status
  shift
  # Not in an `if`, where bash forgets about -e in everything below.
  set +e
  (set -e; "$@") >"$work/said" 2>&1
  status=$?
  set -e
  if ((status == 0)); then
    echo "ok $((++passed + failed)) - $title"
  else
    echo "not ok $((passed + ++failed)) - $title"
    tail -20 "$work/said" | sed 's/^/  # /'
  fi
}

# eventually SECONDS COMMAND…: asks again until the command succeeds.
eventually() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.3
  done
}

id_of() { "${compose[@]}" ps --all --quiet "$1"; }
facts() { docker inspect --format "$2" "$1"; }
within() { docker exec "$countersign" "$@"; }
log_of() { docker logs "$1" 2>&1; }
# has PATTERN, or has no PATTERNS-FILE: of the text on stdin. It is read to its end, so that its writer never fails.
has() { grep -aE -- "$1" >/dev/null; }
has_none_of() { ! grep -aoF -f "$1"; }
# run_to_end OPTIONS-OF-RUN…: what a container without network says, and its exit code.
run_to_end() {
  local id status
  id=$(docker run --detach --network none "$@")
  if eventually 60 has_ended "$id"; then status=$(facts "$id" '{{.State.ExitCode}}'); else status=1; fi
  docker logs "$id" 2>&1
  docker rm --force "$id" >/dev/null
  return "$status"
}
has_ended() { [[ $(facts "$1" '{{.State.Status}}') == exited ]]; }
# The status of a command that is expected to fail.
status_of() { local status=0; "$@" >&2 || status=$?; echo "$status"; }

# Both secrets in the spellings that a log or an environment could hold them in; with tokens, also how every JWT begins.
write_patterns() {
  local value
  for value in "$(<config/demo-secrets/relayer_api_key)" "$(<config/demo-secrets/relayer_api_secret)"; do
    printf '%s\n' "$value" "$(printf %s "$value" | base64 | tr -d '\n=')" "$(printf %s "$value" | od -An -v -tx1 | tr -d ' \n')"
  done >"$work/secrets"
  { cat "$work/secrets"; printf '%s\n' eyJraWQi eyJhbGci eyJ0eXAi; } >"$work/secrets-and-tokens"
}
# Else nothing below would mean anything.
search_works() {
  within cat /run/secrets/relayer_api_key | grep -aF -f "$work/secrets" >/dev/null
  printf %s "key: $(within base64 /run/secrets/relayer_api_secret | tr -d '\n')" | grep -aF "$(sed -n 5p "$work/secrets" | cut -c 1-60)" >/dev/null
}

is_healthy() { [[ $(facts "$1" '{{.State.Health.Status}}') == healthy ]]; }
sees_that_nothing_is_live() { [[ $(status_of within countersign healthcheck --admin 127.0.0.1:1) == 1 ]]; }
runs_as_node() { [[ $(within id -un) == node && $(within id -u) != 0 && $(facts "$image" '{{.Config.User}}') == node ]]; }
process_1_is_node() { [[ $(within readlink /proc/1/exe) == */node && $(within cat /proc/1/cmdline | tr '\0' ' ') == 'node /app/bin/countersign.js serve ' ]]; }
has_licences_of_production_dependencies_only() {
  within node -e '
    const { dependencies, devDependencies } = JSON.parse(fs.readFileSync("/app/package.json", "utf8"))
    const licences = fs.readFileSync("/app/bin/LICENSES.txt", "utf8")
    const there = (name) => licences.includes(`\n${name} `) || licences.startsWith(`${name} `)
    const missing = Object.keys(dependencies).filter((name) => !there(name))
    const superfluous = Object.keys(devDependencies).filter(there)
    console.log({ missing, superfluous })
    process.exit(missing.length + superfluous.length)'
}
has_only_what_it_runs() {
  local there
  there=$(within sh -c 'cd /app && ls -d -- * config/*; command -v npm npx yarn || true' | tr '\n' ' ')
  echo "$there"
  [[ $there =~ ^(LICENSE )?(README.md )?bin\ cache\ config\ config/countersign.jsonc\ config/countersign.schema.json\ package.json\ $ ]]
}

app_was_let_in() { log_of "$app" | has '^status 200$' && log_of "$app" | has '"verdict": "let in: a genuine access token'; }
upstream_saw_both() { log_of "$app" | has 'let in: a genuine access token of .*, and a known API key"' && log_of "$upstream" | has 'GET /txs: 200, with token …[^ ]{6} and key …[^ ]{6}$'; }
upstream_keeps_others_out() {
  within node -e "fetch('http://$upstream_address:9000/txs').then(({ status }) => { console.log(status); process.exit(status === 401 ? 0 : 1) })"
}

app_configuration_is_clean() {
  docker exec "$app" env | has_none_of "$work/secrets-and-tokens"
  docker inspect "$app" | has_none_of "$work/secrets-and-tokens"
}
app_mounts_nothing() { [[ $(facts "$app" '{{len .Mounts}}') == 0 && $(status_of docker exec "$app" test -e /run/secrets) == 1 ]]; }
files_are_clean() { docker export "$1" | has_none_of "$work/secrets"; }
# By name and by address. curl says 6 for an unknown name, 7 for no way to connect, 28 for no response.
app_cannot_reach_the_others() {
  local url status
  docker exec "$app" curl --silent --show-error --max-time 15 --output /dev/null http://countersign:8080/relayer/txs
  for url in http://upstream:9000/ "http://$upstream_address:9000/" http://identity-provider:9000/; do
    status=$(status_of docker exec "$app" curl --silent --max-time 3 --output /dev/null "$url")
    echo "$url: $status"
    [[ $status == 6 || $status == 7 || $status == 28 ]]
  done
}

log_is_clean() {
  log_of "$1" | has '.'
  log_of "$1" | has_none_of "$work/secrets-and-tokens"
}
inspection_is_clean() {
  docker inspect "$countersign" | has_none_of "$work/secrets-and-tokens"
  docker history --no-trunc "$image" | has_none_of "$work/secrets-and-tokens"
}

token_was_refreshed() { within countersign status --json | has '"refreshes":[1-9]' && log_of "$identity_provider" | has 'refresh: new token'; }
answers() { log_of "$app" | grep -c '^status 200$' || true; }
more_answers_than() { (($(answers) > $1)); }
tokens_seen() { log_of "$upstream" | grep -Eo ': 200, with token [^ ]+' | sort -u | wc -l; }
requests_went_on() {
  eventually 30 more_answers_than "$(($(answers) + 3))"
  # No response since the first good one was another.
  log_of "$app" | awk '/^status / { if ($2 == 200) good = 1; else if (good) { print; bad = 1 } } END { exit bad || !good }'
  (($(tokens_seen) > 1))
}

root_is_read_only() {
  [[ $(facts "$countersign" '{{.HostConfig.ReadonlyRootfs}}') == true ]]
  [[ $(status_of docker exec --user 0 "$countersign" touch /app/x) == 1 && $(status_of docker exec --user 0 "$countersign" touch /tmp/x) == 1 ]]
}
files_belong_to_another() { run_to_end --entrypoint sh "$image" -c '! touch /app/x && ! [ -w bin/countersign.js ] && ! [ -w bin ] && [ -r bin/countersign.js ]'; }
starts_with_compiled_code() {
  run_to_end --read-only -e NODE_DEBUG_NATIVE=COMPILE_CACHE "$image" --version | has 'was accepted'
  run_to_end --read-only --entrypoint sh "$image" -c '! touch cache/x && ! [ -w cache ] && ! find cache -writable | grep -q .'
  # Another user starts without, and nothing is said of it.
  [[ $(run_to_end --read-only --user 12345 "$image" --version 2>&1) =~ ^[0-9]+\.[0-9.]+$ ]]
}
has_no_privileges() {
  within cat /proc/1/status | has '^CapBnd:.0+$'
  within cat /proc/1/status | has '^NoNewPrivs:.1$'
}
says_ready() { within countersign status | has '^countersign [0-9].*, ready, '; }

stops_cleanly() { # CONTAINER SECONDS
  local began=$SECONDS
  docker stop "$1" >/dev/null
  echo "exit code $(facts "$1" '{{.State.ExitCode}}') after $((SECONDS - began)) s"
  [[ $(facts "$1" '{{.State.ExitCode}}') == 0 ]] && ((SECONDS - began < $2))
}
names_three_ways_to_start() {
  local status=0
  run_to_end "$image" >"$work/help" || status=$?
  cat "$work/help"
  [[ $status == 78 ]]
  has 'start in one of these three ways' <"$work/help"
  has 'RELAYER_API_KEY and RELAYER_API_SECRET' <"$work/help"
}
two_secrets_are_a_configuration() {
  run_to_end --read-only -e RELAYER_API_KEY_FILE=/run/secrets/key -e RELAYER_API_SECRET_FILE=/run/secrets/secret \
    -v "$PWD/config/demo-secrets/relayer_api_key:/run/secrets/key:ro" -v "$PWD/config/demo-secrets/relayer_api_secret:/run/secrets/secret:ro" "$image" check
}

if ! "${compose[@]}" up --detach --build --wait --wait-timeout 180 >"$work/up" 2>&1; then
  tail -60 "$work/up" >&2
  "${compose[@]}" logs --tail 20 >&2 || true
  echo 'the containers did not come up'
  exit 1
fi
app=$(id_of app) countersign=$(id_of countersign) identity_provider=$(id_of identity-provider) upstream=$(id_of upstream)
image=$(facts "$countersign" '{{.Image}}')
upstream_address=$(facts "$upstream" '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
write_patterns
echo "# image: $(($(facts "$image" '{{.Size}}') / 1000000)) MB, up after $SECONDS s"

check 'countersign runs as the user node' runs_as_node
check 'process 1 is node itself' process_1_is_node
check 'the licences of the production dependencies go along, and of no other' has_licences_of_production_dependencies_only
check 'the image holds nothing but what it runs, and no package manager' has_only_what_it_runs
check 'its health check says healthy' eventually 30 is_healthy "$countersign"
check 'its health check says when nothing is live' sees_that_nothing_is_live

check 'the application gets its responses' eventually 60 app_was_let_in
check 'the upstream saw an API key that it knows and a token that verifies' upstream_saw_both
check 'the upstream keeps out who comes without' upstream_keeps_others_out
check 'countersign status says ready' eventually 60 says_ready

check 'secrets are found where they are' search_works
check 'the application has no secret in its environment and configuration' app_configuration_is_clean
check 'the application has no secret among its files' files_are_clean "$app"
check 'nothing is mounted into the application' app_mounts_nothing
check 'the application reaches countersign and nobody else' app_cannot_reach_the_others

check 'the image holds no secret' files_are_clean "$countersign"
check 'neither docker inspect nor docker history shows a secret' inspection_is_clean

check 'the token was refreshed' eventually 60 token_was_refreshed
check 'requests went on through the refresh, with the new token' requests_went_on

check 'the root file system is read-only' root_is_read_only
check 'without that, too, the files are not its own to change' files_belong_to_another
check 'what it runs is compiled already, by nobody else' starts_with_compiled_code
check 'it has no capabilities and gets none' has_no_privileges

check 'docker stop ends countersign in time with exit code 0' stops_cleanly "$countersign" 30
check 'docker stop ends the other parts in time with exit code 0' eval 'stops_cleanly "$upstream" 8; stops_cleanly "$identity_provider" 8'
check 'the log of countersign, to its end, holds no secret and no token' log_is_clean "$countersign"
check 'the logs of the other parts hold no secret and no token' eval 'log_is_clean "$upstream"; log_is_clean "$identity_provider"'

check 'without configuration it exits with 78 and names three ways to start' names_three_ways_to_start
check 'two secrets alone are a configuration' two_secrets_are_a_configuration

if ((failed > 0)); then
  echo '# the last lines of countersign:'
  log_of "$countersign" | tail -20 | sed 's/^/# /'
fi
echo "$passed passed, $failed failed"
((failed == 0))
