"""From emissions and transitions to IOB2 tags, entities and probabilities."""
