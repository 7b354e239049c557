#!/bin/bash
#PBS -N novelty
#PBS -l select=1:ncpus=1:mem=4gb
#PBS -l walltime=24:00:00
#PBS -r y
#PBS -j oe
# Score a source into a run, with the workers of cluster.yaml: qsub -v SOURCE=urls.txt,RUN=run.zarr job.sh
# It may be killed and run again at any time: it goes on, and the run has the same bytes.
cd "$PBS_O_WORKDIR" || exit 2
novelty="${NOVELTY:-novelty}"

if "$novelty" status "$RUN" >/dev/null 2>&1; then
    # The job that held the run before is this one, perhaps on a node that has died.
    exec "$novelty" resume "$RUN" --cluster cluster.yaml --take-over
fi
exec "$novelty" score "$SOURCE" -o "$RUN" --cluster cluster.yaml
