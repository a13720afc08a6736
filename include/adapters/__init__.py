"""The only place that meets the world: AWS, git, builds, metric stores. No adapter imports another."""
