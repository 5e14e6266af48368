"""One function per intention. They take the session, the actor and the time, change rows, record events, never commit."""
