#!/bin/sh
# run.sh FOLDER TARGET SECONDS: one fuzz target for a time. FOLDER has fuzz-run/TARGET; inputs that
# are found go to FOLDER/scratch/TARGET/corpus, findings to FOLDER/scratch/TARGET, its log beside them. The
# program can write nowhere else.
set -eu
folder=$1 target=$2 seconds=$3
here=$(cd "$(dirname "$0")" && pwd)
scratch=$folder/scratch/$target
mkdir -p "$scratch/corpus"
dictionary=
[ ! -e "$here/dictionaries/$target.dict" ] || dictionary=-dict=$here/dictionaries/$target.dict
case $target in
    compile | rules | learn) length=4096 ;;
    pattern | differential) length=256 ;;
    *) length=8192 ;;
esac
cd "$scratch"
echo "== $target, $seconds s"
status=0
SLUICE_FUZZ_SCRATCH=$scratch nice -n 19 "$folder/fuzz-run/$target" -max_total_time="$seconds" \
    -max_len=$length -len_control=50 -timeout=60 -rss_limit_mb=3000 -print_final_stats=1 \
    -artifact_prefix="$scratch/" $dictionary corpus "$here/corpus/$target" >>log 2>&1 || status=$?
grep -a -E '^(stat::number_of_executed_units|Done |SUMMARY|artifact_prefix)' log | tail -n 3
grep -a 'cov:' log | tail -n 1
if [ $status != 0 ]; then
    echo "$target: a finding (status $status): $scratch/log"
    exit 1
fi
