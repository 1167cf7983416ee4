// Package proxyproto reads the header of the PROXY protocol, versions 1 and 2, and writes
// that of version 2: what a proxy that passes on bytes says first about the client it
// speaks for. The specification is HAProxy's, doc/proxy-protocol.txt, section 2.
//
// It does no I/O. A server gathers bytes and calls [Parse] until it has the header's
// length or an error; [Missing] is for those who must not read beyond it. It believes
// what it reads of proxies that it knows, of nobody else.
package proxyproto
