// Package deflate is permessage-deflate, RFC 7692: the negotiation of its four
// parameters, and compression of whole messages in memory. It does no I/O,
// starts no goroutine and uses no package unsafe.
//
// A loop owns one Compressor and one Decompressor and uses them for all its
// connections, without context from one message to the next. That is the
// shared mode, the zero Config. In the dedicated mode a connection has a
// Stream or an Inflater too, which keep the last bytes of its own messages
// (4 KiB to compress, the agreed window of up to 32 KiB to inflate) and work
// with the tables of the loop.
//
// # Parameters
//
// All of server_no_context_takeover, client_no_context_takeover,
// server_max_window_bits and client_max_window_bits are honoured, with any
// value from 8 to 15. zlib cannot compress with 8 bits and takes 9 in its
// place; Compressor and Stream really stay within 256 bytes when 8 is agreed,
// and an Inflater that agreed to 8 keeps 512. In the shared mode the answer
// has both no_context_takeover parameters, whether the client named them or
// not.
//
// # How it works
//
// Messages up to 4 KiB, and all messages with a window below 15 bits, are
// compressed here: hash chains, lazy matching, and one block for each 4 KiB,
// with dynamic codes, fixed codes or stored, whichever is smallest. Larger ones
// go to level 1 of github.com/klauspost/compress/flate, which is faster from
// there on. Inflation is all done here: the message is a slice, the output
// is a slice, symbols are read by table from a 64 bit buffer, and the size is
// limited while the output is made.
//
// # What was measured
//
// Instructions in user mode and bytes of output for the 1,024 byte JSON
// document of BenchmarkEcho (64 versions of it, amd64, GOAMD64=v1), counted
// with valgrind --tool=callgrind as the difference between two numbers of
// iterations of the test binary.
//
//	deflate                            instructions   bytes
//	this package                             85,000     401
//	klauspost level 1                       131,600     422
//	klauspost StatelessDeflate              134,800     431
//	klauspost level 3                       140,500     412
//	klauspost level 5                       161,200     403
//	klauspost level 6                       164,100     402
//	klauspost level -2 (Huffman only)        99,100     683
//	compress/flate level 1                  227,100     444
//	zlib 1.2.13 level 6                           -     405
//	this package, Stream                     81,000      36
//
//	inflate (what level 6 made of it)
//	this package                             34,500
//	klauspost                                78,900
//
// Together 120,000 for an echo; in time, 5 to 8 microseconds to deflate and 3
// to inflate where klauspost's level 1 takes 9 to 12 and its inflater 6. At
// 4 KiB this package makes 1,110 bytes in 14 to 25 microseconds
// and klauspost's level 1 1,221 in 13 to 19.
//
// # What was rejected
//
//   - Fixed codes alone, or Huffman codes alone: fast, but the document stays
//     above 500 bytes. Fixed codes are still taken where they are smaller,
//     which is for messages of some dozen bytes.
//   - klauspost/compress for small messages: half as many instructions again
//     at level 1, for more bytes; twice as many at level 6, for the same size.
//   - More than 8 candidates for a match: 3 per cent more work, no byte less.
//     No lazy matching: 4 per cent less work, 4 per cent more bytes.
//   - A compressor for each connection: 0.8 MB each with klauspost's level 1.
//     To enter the 4 KiB of context again with every message costs some
//     45,000 instructions; there is less left to write, so that the sum is less.
package deflate
