"""The old command line in front of new limits: `sudo cinder-rootwrap` unchanged for its callers.

`client` is what is executed for every command, and decides by an index that `index` makes of the
filters. `rootwrap_main` is the same command line for whatever the index cannot answer.
"""
