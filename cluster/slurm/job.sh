#!/bin/bash
#SBATCH --job-name=novelty
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@60
#SBATCH --export=NONE
# Score a source into a run, with the workers of cluster.yaml: sbatch job.sh SOURCE RUN
# It may be killed and requeued at any time: it goes on, and the run has the same bytes.
cd "$SLURM_SUBMIT_DIR" || exit 2
novelty="${NOVELTY:-novelty}"

if "$novelty" status "$2" >/dev/null 2>&1; then
    # The job that held the run before is this one, perhaps on a node that has died.
    "$novelty" resume "$2" --cluster cluster.yaml --take-over &
else
    "$novelty" score "$1" -o "$2" --cluster cluster.yaml &
fi
driver=$!
is_ended=
trap 'is_ended=1; kill -TERM $driver' TERM
wait $driver
code=$?
# A signal ends the first wait; the driver then takes its workers down.
if [ -n "$is_ended" ]; then
    wait $driver
    code=3
fi
# 3: a node or a disk failed, or the time is over.  Try again, but not for ever.
if [ $code = 3 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
