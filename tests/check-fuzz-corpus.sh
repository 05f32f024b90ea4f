#!/bin/sh
# Proves that every input the fuzzers found worth keeping still passes.
set -eu
corpus=${srcdir:-.}/tests/fuzz/corpus
programs=${builddir:-.}/tests/fuzz
"$programs/replay_http" "$corpus/http"
"$programs/replay_http_connect" "$corpus/http_connect"
"$programs/replay_bundle" "$corpus/bundle"
"$programs/replay_handshake" "$corpus/handshake"
"$programs/replay_judge" "$corpus/judge"
"$programs/replay_first_answer" "$corpus/first_answer"
# The cases of `import` are its corpus, too.
"$programs/replay_import" "$corpus/import" "${srcdir:-.}"/tests/import/*/config.xml
