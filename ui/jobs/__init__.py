"""Work that outlives a browser's session: what is asked for, how far it is, what came out."""
