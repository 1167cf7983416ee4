package proxyproto

import (
	"encoding/binary"
	"net/netip"
)

const (
	// HeadSize is what all headers of version 2 have, in bytes: signature, version and
	// command, family and transport, length of the rest.
	HeadSize = 16
	// MaxRest bounds the rest, in bytes: addresses take up to 216, what a proxy adds
	// to them (TLVs) a few hundred.
	MaxRest = 4 << 10
	// MaxLen bounds a header, in bytes.
	MaxLen = HeadSize + MaxRest

	signature = "\r\n\r\n\x00\r\nQUIT\n"

	version2     = 2 << 4
	commandLocal = 0
	commandProxy = 1
	maxFamily    = 3 // UNSPEC, INET, INET6, UNIX
	maxTransport = 2 // UNSPEC, STREAM, DGRAM
	tcp4         = 0x11
	tcp6         = 0x21
)

// Header is what a header tells. The zero value says nothing: the connection's own
// address is meant. It is the proxy's (LOCAL, as of health checks; UNKNOWN), or that of a
// client which has none of TCP's.
type Header struct {
	// Source is the client's address.
	Source netip.AddrPort
	// TLS says that the client came to the proxy by TLS (PP2_CLIENT_SSL). Version 1
	// can't tell.
	TLS bool
}

// Signed reports whether b begins as a header does, of either version, or with a part of
// that which may become one: then whole is false, as for an empty b.
func Signed(b []byte) (begins, whole bool) {
	for _, sign := range []string{signature, lineSign} {
		n := min(len(b), len(sign))
		if string(b[:n]) == sign[:n] {
			return true, n == len(sign)
		}
	}
	return false, false
}

// Parse reads the header at the start of b. n is its length; 0 without an error means
// that more bytes are needed, at most MaxLen in all. Of TLVs the checksum, which must be
// right, and PP2_TYPE_SSL are looked at, others are skipped. An error comes as soon as it
// can be told, that of a line when its end is there.
func Parse(b []byte) (h Header, n int, err error) {
	if begins, whole := Signed(b); !begins {
		return Header{}, 0, ErrMissing
	} else if !whole {
		return Header{}, 0, nil
	}
	if isLine(b) {
		return parseLine(b)
	}
	if len(b) > 12 {
		if b[12]&0xF0 != version2 {
			return Header{}, 0, ErrVersion
		}
		if b[12]&0x0F > commandProxy {
			return Header{}, 0, ErrCommand
		}
	}
	local := len(b) > 12 && b[12]&0x0F == commandLocal
	if len(b) > 13 && !local && (b[13]>>4 > maxFamily || b[13]&0x0F > maxTransport) {
		return Header{}, 0, ErrFamily
	}
	if len(b) < HeadSize {
		return Header{}, 0, nil
	}
	n = length(b)
	addresses := 0
	if !local {
		addresses = addressesSize(b[13])
	}
	switch {
	case n > MaxLen:
		return Header{}, 0, ErrTooLong
	case n < HeadSize+addresses:
		return Header{}, 0, ErrShort
	case len(b) < n:
		return Header{}, 0, nil
	case addresses == 0:
		return Header{}, n, nil
	}
	if h.TLS, err = parseTLVs(b[:n], HeadSize+addresses); err != nil {
		return Header{}, 0, err
	}
	h.Source = sourceOf(b[HeadSize : HeadSize+addresses])
	return h, n, nil
}

// Missing is how many bytes the header at the start of b lacks at least, 1 or more: so
// many can be read without reading beyond it. b is what Parse wants more of.
func Missing(b []byte) int {
	switch {
	case isLine(b):
		return max(minLine-len(b), 1)
	case len(b) < minLine:
		return minLine - len(b) // it may become either
	case len(b) < HeadSize:
		return HeadSize - len(b)
	}
	return length(b) - len(b)
}

// length is that of a header of version 2 which has HeadSize bytes at least.
func length(b []byte) int { return HeadSize + int(binary.BigEndian.Uint16(b[14:])) }

// addressesSize is how many bytes the two addresses and their ports have; 0 where they
// are none that a TCP connection has.
func addressesSize(family byte) int {
	switch family {
	case tcp4:
		return 2 * (4 + 2)
	case tcp6:
		return 2 * (16 + 2)
	}
	return 0
}

// sourceOf reads the first of two addresses, and the first of two ports behind them.
func sourceOf(b []byte) netip.AddrPort {
	size := len(b)/2 - 2
	addr, _ := netip.AddrFromSlice(b[:size])
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b[2*size:]))
}

// Append appends the header of version 2 that Parse reads h of. It leaves the destination
// at zeros. Without a source it tells nothing (LOCAL).
func Append(dst []byte, h Header) []byte {
	dst = append(dst, signature...)
	addr := h.Source.Addr()
	if !addr.IsValid() {
		return append(dst, version2|commandLocal, 0, 0, 0)
	}
	family := byte(tcp6)
	if addr.Is4() {
		family = tcp4
	}
	size := addressesSize(family)
	var ssl []byte
	if h.TLS {
		ssl = []byte{typeSSL, 0, sslHead, clientSSL, 0, 0, 0, 0}
	}
	dst = append(dst, version2|commandProxy, family, 0, byte(size+len(ssl)))
	dst = append(dst, addr.AsSlice()...)
	dst = append(dst, make([]byte, size/2-2)...)
	dst = binary.BigEndian.AppendUint16(dst, h.Source.Port())
	dst = append(dst, 0, 0)
	return append(dst, ssl...)
}
