"""One task each: read the world, ask a room what to do, do it through a hook."""
