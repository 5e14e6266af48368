"""Mail that leaves the desk: letters, their encryption, their transport, and the archive that settles doubt."""
