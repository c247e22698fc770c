"""The rules: one file each, found by `privmigrate.audit.engine`.

PM0xx are about the audit itself, PM1xx about what commands can do, PM2xx about patterns, PM3xx
about entries that do not do what they say, PM4xx about rootwrap.conf and who can change what it
stands on, PM5xx about sudoers, PM6xx about privsep modules. A number is never used again.
"""
