"""Who of those without a contract will buy again, how often, for how much? Buy-till-you-die models."""
