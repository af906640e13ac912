"""One run's folder, whatever the verb: its plan, its record, its numbers, its page."""
