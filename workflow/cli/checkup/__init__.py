"""What `licdesk doctor` looks at, one module per subject. Nothing here changes anything or opens a private key."""
