"""Object tracks seen by several cameras: states, wanted frames and the rule of the pairs."""
