"""Faults, one experiment each: what a run promises under it, on real processes, signals and disks."""
