"""The hub's side of unixspawner: a spawner and an authenticator. Runs as the hub's account."""
