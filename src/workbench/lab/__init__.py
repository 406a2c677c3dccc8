"""JupyterLab for analysts: the studies at a glance, a new one from a template, runs that end in the same reports."""
