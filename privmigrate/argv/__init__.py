"""What a command line may be: specifications of words, and the checks compiled from them.

Runs as root. Imports nothing but the standard library.
"""
