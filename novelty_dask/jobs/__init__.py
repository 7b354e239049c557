"""Jobs: runs that are driven on a cluster, after whoever ordered them has left."""
