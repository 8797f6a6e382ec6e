#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes docs/pictures/credit.svg anew: a trace of a machine, drawn. `make pictures`; arguments: build folder, output folder.
# Instructions are counted in place of time, so the picture looks the same on any host.
set -eu
build=$1 out=$2
TARN_STATE=$(mktemp -d)
export TARN_STATE
PATH=$PWD/$build/tools:$PATH
case $build in /*) PATH=$build/tools:$PATH ;; esac
trap 'tarn down >/dev/null 2>&1 || :; rm -rf "$TARN_STATE"' EXIT INT TERM
files=guests/control/files

tarn up --icount=4 --smp 4
# CPU 1: weights of one to two, and one that computes for 1 ms of each 10 and sleeps otherwise
tarn create $files/burn.cfg 'name="light"' 'cpus="1"' cpu_weight=256
tarn create $files/burn.cfg 'name="heavy"' 'cpus="1"' cpu_weight=512
tarn create $files/nap.cfg 'name="nap"' 'cpus="1"' 'extra="period=10000 work=1000"'
# CPU 2: one with a cap of 25 per cent, alone
tarn create $files/burn.cfg 'name="capped"' 'cpus="2"' cap=25
tarn --timeout 300 xl sleep 2
tarn xl trace start -c 1-2
tarn --timeout 300 xl sleep 1
tarn xl trace stop
tarn trace save "$TARN_STATE/credit.trace"
mkdir -p "$out"
python3 tools/trace-svg.py "$TARN_STATE/credit.trace" -o "$out/credit.svg" --from 300 --to 700 --cpus 1-2 \
    --title "credit: weights 256 and 512 and a sleeper on CPU 1, a cap of 25 per cent on CPU 2" \
    --name 1=light --name 2=heavy --name 3=nap --name 4=capped
