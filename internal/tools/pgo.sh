#!/usr/bin/env bash
# Records a CPU profile of bin/wsd under each saturating case of bench/compare
# and merges them into cmd/wsd/default.pgo, which `go build` then uses.
set -euo pipefail
cd "$(dirname "$0")/../.."

cases=${CASES:-echo20,echo20p16,echo512,echo16k,echojson,fan64w1,fan64w16,fan1kw4,fanjson}
profiles=$(mktemp -d)
trap 'rm -rf "$profiles"' EXIT

# Each server is a process of its own: its shell's $$ names its profile.
profile="--cpu-profile $profiles/\$\$.pprof"
go run ./bench/compare -peers wsd -reps 1 -duration 5s -case "$cases" \
	-wsd-echo "bin/wsd echo --listen 127.0.0.1:{port} $profile" \
	-wsd-topics "bin/wsd serve --listen 127.0.0.1:{port} --origins '*' --loops {loops} $profile"
go tool pprof -proto -output cmd/wsd/default.pgo "$profiles"/*.pprof
ls -l cmd/wsd/default.pgo
