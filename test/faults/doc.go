// Package faults breaks what stands between the nodes of a cluster while
// messages flow, and holds what clients got against what each mode of delivery
// promises. The nodes are programs: test/sioserver for Socket.IO, wsd for topics;
// Redis is real, and so is what happens to it.
//
// Several publishers, at different nodes, number their messages; subscribers at
// every node note what arrives. A fault meets all modes at once: each has nodes of
// its own, and all use one Redis. WSD_LONG makes faults last longer and come
// again.
package faults
