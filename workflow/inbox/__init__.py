"""The development inbox: catches the demo's mail and shows it, decrypted. It never starts in production."""
