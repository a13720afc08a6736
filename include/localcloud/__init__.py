"""An AWS on a laptop: moto's records made real with processes, Envoy, health, time and faults."""
