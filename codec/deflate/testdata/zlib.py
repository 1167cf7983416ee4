# The oracle: zlib itself. Each line of the input is one request, each line of
# the output its answer.
#
#   inflate <windowBits> <chunk> <base64>...   messages of one connection, without tails;
#                                              chunk bounds the output of one call, so that
#                                              the window is all that zlib can look back to
#   deflate <level> <windowBits> <memLevel> <strategy> <base64>...   a sync flush behind each part
import base64
import sys
import zlib

TAIL = b"\x00\x00\xff\xff"


def inflate(bits, chunk, messages):
    z = zlib.decompressobj(-int(bits))
    out = b""
    for m in messages:
        rest = base64.b64decode(m) + TAIL
        while True:
            piece = z.decompress(rest, int(chunk))
            rest = z.unconsumed_tail
            out += piece
            if not rest and not piece:
                break
    return out


def deflate(level, bits, mem, strategy, parts):
    z = zlib.compressobj(int(level), zlib.DEFLATED, -int(bits), int(mem), int(strategy))
    return b"".join(z.compress(base64.b64decode(p)) + z.flush(zlib.Z_SYNC_FLUSH) for p in parts)


for line in sys.stdin:
    words = line.rstrip("\n").split(" ")
    try:
        if words[0] == "inflate":
            out = inflate(words[1], words[2], words[3:])
        else:
            out = deflate(*words[1:5], words[5:])
        print("=" + base64.b64encode(out).decode())
    except zlib.error as e:
        print("!" + str(e))
