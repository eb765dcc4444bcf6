"""Who may do what over HTTP: scopes, keys, and the check at the door of both web processes."""
