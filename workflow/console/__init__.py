"""The platform's side: License Management with its own small store. Nothing here imports the desk, and nothing serves HTTP."""
