"""Cards and readers: the protocol above, the drivers below, small ports between.

The protocol (APDU, TLV, PIV) never imports a reader's driver; `hardware.pcsc` alone imports
pyscard. It imports no other package of ours.
"""
