"""Facts -> findings. Pure: a check sees what a probe learned and nothing else."""
