#!/usr/bin/env bash
# Checks that every commit of a range has a Conventional Commits message (https://www.conventionalcommits.org/en/v1.0.0/).
set -euo pipefail
range=${1:-HEAD}
types='build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test'
bad=0
while IFS= read -r line; do
    hash=${line%% *}
    subject=${line#* }
    if ! grep -qE "^($types)(\([a-z0-9 ,/-]+\))?!?: [^ ].*[^.]$" <<<"$subject"; then
        printf '%s %s\n  expected: type(scope): what the change does, type one of %s, no full stop\n' "$hash" "$subject" "$types"
        bad=1
    elif [ "${#subject}" -gt 100 ]; then
        printf '%s %s\n  the subject has %s characters, at most 100\n' "$hash" "$subject" "${#subject}"
        bad=1
    fi
done < <(git log --no-merges --format='%h %s' "$range")
[ "$bad" = 0 ] && echo "all commit messages of $range follow Conventional Commits"
exit "$bad"
