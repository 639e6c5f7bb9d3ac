"""What keeps it going: the shell that drives the kernel, supervision, the journal, approvals and the command line.

The top floor, and the only one that knows processes, files, sockets and signals.
"""
