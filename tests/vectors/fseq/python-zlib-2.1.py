"""Writes python-zlib-2.1.fseq: 620 channels, 100 frames of 25 ms, frame F with channel C (from 0) at 7 F + C.

Its blocks are of every kind that zlib (RFC 1950) makes: stored, of fixed and of its own codes, of the smallest window,
flushed in the middle and by the best search. Nothing of it is ours but the head (FPP, FSEQ_Sequence_File_Format.txt).

    python3 tests/vectors/fseq/python-zlib-2.1.py
"""
import pathlib
import struct
import zlib

CHANNELS, FRAMES, STEP_MS = 620, 100, 25


def frame(number):
    return bytes((7 * number + channel) % 256 for channel in range(CHANNELS))


def pack(frames, level=6, window=15, strategy=zlib.Z_DEFAULT_STRATEGY, flush=None):
    packer = zlib.compressobj(level, zlib.DEFLATED, window, 8, strategy)
    packed = b""
    for octets in frames:
        packed += packer.compress(octets)
        if flush is not None:
            packed += packer.flush(flush)
    return packed + packer.flush()


blocks = [
    (0, 2, dict(level=0)),
    (2, 20, dict(strategy=zlib.Z_FIXED)),
    (20, 24, dict(strategy=zlib.Z_HUFFMAN_ONLY, window=9)),
    (24, 60, dict(flush=zlib.Z_SYNC_FLUSH)),
    (60, 80, dict(flush=zlib.Z_FULL_FLUSH, strategy=zlib.Z_RLE)),
    (80, 100, dict(level=9)),
]
packed = [pack(map(frame, range(first, end)), **how) for first, end, how in blocks]
variable = struct.pack("<H2s", 4 + 7, b"sp") + b"python\0"
begin = 32 + 8 * len(blocks) + len(variable)
head = struct.pack(
    "<4sHBBHIIBBBBBBQ", b"PSEQ", begin, 1, 2, 32 + 8 * len(blocks), CHANNELS, FRAMES, STEP_MS, 0, 2, len(blocks), 0, 0, 0
)
table = b"".join(struct.pack("<II", first, len(octets)) for (first, _, _), octets in zip(blocks, packed))
pathlib.Path(__file__).with_suffix(".fseq").write_bytes(head + table + variable + b"".join(packed))
