"""Many runs as one: steps that follow each other, and the page that joins finished runs."""
