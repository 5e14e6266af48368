"""What pages show: values in the words people read, made from what queries return. No database, no HTTP."""
