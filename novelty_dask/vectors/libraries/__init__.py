"""Libraries that people know, as engines that propose candidates."""
