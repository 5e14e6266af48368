"""The desk's web side: pages for people, the API for programs."""
