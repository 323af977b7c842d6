"""What terminal, gateway and auditor promise each other: the bytes, their order and their caps.

Pure: no input or output, no clock, no logging, and no import of any other package of ours. A
terminal on another operating system could be written against this package alone.
"""
