package proxyproto

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// maxLine bounds a header of version 1, in bytes, with its line end.
	maxLine = 107

	lineSign = "PROXY "
	unknown  = "UNKNOWN"
	// minLine is the shortest one, and no longer than the head of version 2.
	minLine = len(lineSign + unknown + "\r\n")
)

// isLine reports whether b begins with the signature of version 1.
func isLine(b []byte) bool { return len(b) >= len(lineSign) && string(b[:len(lineSign)]) == lineSign }

// parseLine reads a header of version 1: PROXY TCP4 source destination port port, with one
// space between them and an end of CRLF. Section 2.1.
func parseLine(b []byte) (h Header, n int, err error) {
	n = bytes.IndexByte(b[:min(len(b), maxLine)], '\n') + 1
	switch {
	case n == 0 && len(b) >= maxLine:
		return Header{}, 0, ErrTooLong
	case n == 0:
		return Header{}, 0, nil
	case b[n-2] != '\r':
		return Header{}, 0, ErrLine
	}
	// What stands behind UNKNOWN is to be ignored.
	fields := strings.Split(string(b[len(lineSign):n-2]), " ")
	if fields[0] == unknown {
		return Header{}, n, nil
	}
	if len(fields) != 5 {
		return Header{}, 0, ErrLine
	}
	source, sourceOK := parseEnd(fields[0], fields[1], fields[3])
	_, destinationOK := parseEnd(fields[0], fields[2], fields[4])
	if !sourceOK || !destinationOK {
		return Header{}, 0, ErrLine
	}
	return Header{Source: source}, n, nil
}

// parseEnd reads an address and its port, in the one form that they have.
func parseEnd(family, address, port string) (netip.AddrPort, bool) {
	addr, err := netip.ParseAddr(address)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || addr.Zone() != "" || notNumber != nil,
		port != strconv.FormatUint(number, 10),
		addr.Is4() != (family == "TCP4"), addr.Is6() != (family == "TCP6"):
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), true
}
