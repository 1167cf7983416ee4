package engineio

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
)

// The content codings of polls, RFC 9110 8.4.1. Node serves no others.
const (
	codingGzip    = "gzip"
	codingDeflate = "deflate"
)

// A compressor is some hundred kilobytes: they are shared.
var (
	gzips    = sync.Pool{New: func() any { return gzip.NewWriter(io.Discard) }}
	deflates = sync.Pool{New: func() any { return zlib.NewWriter(io.Discard) }}
)

// compressor is what gzip and zlib writers have in common.
type compressor interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// writeCompressed writes a body in a content coding.
func writeCompressed(w io.Writer, coding string, body []byte) error {
	pool := &gzips
	if coding == codingDeflate {
		pool = &deflates
	}
	z := pool.Get().(compressor)
	defer pool.Put(z)
	defer z.Reset(io.Discard) // it must not hold w
	z.Reset(w)
	_, err := z.Write(body)
	return errors.Join(err, z.Close())
}

// codingFor is the coding that an Accept-Encoding prefers, gzip if it has no
// preference, or "" for neither. RFC 9110 12.5.3.
func codingFor(accept string) string {
	best, weight := "", 0.0
	for item := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		switch name {
		case codingGzip, codingDeflate:
		case "*":
			name = codingGzip
		default:
			continue
		}
		if q := quality(params); q > weight || q == weight && q > 0 && name == codingGzip {
			best, weight = name, q
		}
	}
	return best
}

// quality is the weight among the parameters of an item: 1 without one, 0 for
// one that is no number.
func quality(params string) float64 {
	name, value, ok := strings.Cut(strings.TrimSpace(params), "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
		return 1
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}
