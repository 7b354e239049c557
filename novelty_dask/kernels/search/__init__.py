"""Search kernels: the k most similar rows of each row, exactly; `topk` is the way in and says why."""
