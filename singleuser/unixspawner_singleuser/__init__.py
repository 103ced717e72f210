"""The per-user web server of unixspawner: Hub sign-in in front, the user's applications behind.

Every process of this package runs as the person it serves, never as the hub and never as root.
"""
