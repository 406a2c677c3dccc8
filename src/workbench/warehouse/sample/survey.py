def write_survey(extracts, rng):
    return {}
