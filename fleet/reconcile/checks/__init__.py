"""The questions that models have to answer, and what is known of the answers."""
