"""What really speaks on an open endpoint: probes ask, `drive` carries their words, a `Service` with evidence comes out."""
