// Package proxyproto reads and writes the header of the PROXY protocol, version 2:
// what a proxy that passes on bytes says first about the client it speaks for. The
// specification is HAProxy's, doc/proxy-protocol.txt, section 2.2.
//
// It does no I/O. A server gathers bytes and calls [Parse] until it has the header's
// length or an error. It believes what it reads of proxies that it knows, of nobody
// else. Version 1, a line of text, is not read.
package proxyproto
