"""Storage: a run as a Zarr group with a manifest.  The only importer of Zarr."""
