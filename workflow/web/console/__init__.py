"""License Management as a web application of its own. Imports nothing of the desk."""
