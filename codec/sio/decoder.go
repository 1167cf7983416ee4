package sio

import (
	"bytes"
	"strings"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// Limits bound what one packet may take. Connections may share them.
type Limits struct {
	// MaxAttachments of one packet. 0: [MaxAttachments]; negative: none.
	MaxAttachments int
	// MaxBytes of a packet with attachments: the sum of its messages, which
	// the decoder keeps until the last one is there. 0: 1,000,000. A packet
	// without attachments is never kept and not measured.
	MaxBytes int
	// MaxDepth is how deep arrays and objects may be nested, the array of
	// arguments included. 0: 512; it cannot be above 1,024.
	MaxDepth int
}

const (
	defaultMaxBytes = 1_000_000
	defaultMaxDepth = 512
)

func (l *Limits) attachments() int {
	if l == nil || l.MaxAttachments == 0 {
		return MaxAttachments
	}
	return l.MaxAttachments
}

func (l *Limits) bytes() int {
	if l == nil || l.MaxBytes == 0 {
		return defaultMaxBytes
	}
	return l.MaxBytes
}

func (l *Limits) depth() int {
	if l == nil || l.MaxDepth == 0 {
		return defaultMaxDepth
	}
	return min(l.MaxDepth, maxNesting)
}

// Decoder reads the packets of one connection, as the JSON parser writes them.
// Its zero value is ready for use, with the default limits. It is not safe for use by several
// goroutines. After an error the connection has to be closed.
//
// It refuses what Node refuses. Beyond that it wants the number of attachments
// to be written in digits only, an id to fit in 64 bits, the first character
// to be a digit (Node takes a space, or nothing at all, for a 0), and the
// number of a placeholder to be whole.
type Decoder struct {
	limits    *Limits
	awaiting  *awaited
	namespace string // the last one: most connections use one besides "/"
}

// NewDecoder returns a decoder with these limits, nil for the defaults. They
// are not copied.
func NewDecoder(limits *Limits) Decoder { return Decoder{limits: limits} }

// awaited is a packet of which attachments are missing.
type awaited struct {
	packet  Packet
	missing int
	bytes   int // that it takes so far
}

// maxCachedNamespace is the length in bytes above which a connection does not
// remember a namespace.
const maxCachedNamespace = 128

// Text reads a text message: what follows the type of the Engine.IO packet. If
// ok is false without an error, the packet is complete only after [Binary].
// The packet's Data aliases b. The text is taken to be UTF-8.
//
// The errors are [ErrType], [ErrAttachments], [ErrTooMany], [ErrID], [ErrPayload],
// [ErrReserved], [ErrPlaceholder], [ErrExpectedBinary], [ErrTooLarge] and
// [ErrDepth]. Hot path: per message, without allocation unless the namespace
// changes or attachments follow.
func (d *Decoder) Text(b []byte) (p Packet, ok bool, err error) {
	if d.awaiting != nil {
		d.awaiting = nil
		return Packet{}, false, ErrExpectedBinary
	}
	if len(b) == 0 {
		return Packet{}, false, ErrType
	}
	p.Type = Type(b[0] - '0')
	if p.Type > BinaryAck {
		return Packet{}, false, ErrType
	}
	i, attachments := 1, 0
	if p.Type >= BinaryEvent {
		p.Type -= BinaryEvent - Event
		if attachments, i, err = d.count(b); err != nil {
			return Packet{}, false, err
		}
	}
	p.Namespace = rootNamespace
	if i < len(b) && b[i] == '/' {
		end := bytes.IndexByte(b[i:], ',')
		if end < 0 {
			end = len(b) - i
		}
		p.Namespace = d.intern(b[i : i+end])
		i = min(i+end+1, len(b))
	}
	if i < len(b) && (b[i]-'0' <= 9 || b[i] <= ' ') {
		if p.ID, p.HasID, i, err = parseID(b, i); err != nil {
			return Packet{}, false, err
		}
	}
	if i < len(b) {
		if p.Data, err = payload(p.Type, b[i:], d.limits.depth()); err != nil {
			return Packet{}, false, err
		}
	}
	if attachments > 0 {
		return Packet{}, false, d.await(&p, attachments, len(b))
	}
	return p, true, nil
}

// Binary reads a binary message: the next attachment of the packet that the
// last [Decoder.Text] left incomplete. It copies b.
//
// The errors are [ErrUnexpectedBinary] and [ErrTooLarge].
func (d *Decoder) Binary(b []byte) (p Packet, ok bool, err error) {
	w := d.awaiting
	if w == nil {
		return Packet{}, false, ErrUnexpectedBinary
	}
	if len(b) > d.limits.bytes()-w.bytes {
		d.awaiting = nil
		return Packet{}, false, ErrTooLarge
	}
	w.bytes += len(b)
	w.packet.Attachments = append(w.packet.Attachments, append(make([]byte, 0, len(b)), b...))
	if w.missing--; w.missing > 0 {
		return Packet{}, false, nil
	}
	d.awaiting = nil
	return w.packet, true, nil
}

// Awaiting says whether attachments are missing, so that a connection can be
// given a time for them.
func (d *Decoder) Awaiting() bool { return d.awaiting != nil }

// tooMany is above any sensible limit, and far from an overflow.
const tooMany = 1 << 30

// count reads the number of attachments, which is not trusted with memory.
func (d *Decoder) count(b []byte) (n, next int, err error) {
	i := 1
	for ; i < len(b) && b[i] != '-'; i++ {
		c := b[i] - '0'
		if c > 9 {
			return 0, 0, ErrAttachments
		}
		n = min(n*10+int(c), tooMany)
	}
	if i == len(b) || n == 0 {
		return 0, 0, ErrAttachments
	}
	if n > d.limits.attachments() {
		return 0, 0, ErrTooMany
	}
	return n, i + 1, nil
}

// await keeps a packet until its attachments are there.
func (d *Decoder) await(p *Packet, attachments, size int) error {
	if size > d.limits.bytes() {
		return ErrTooLarge
	}
	spans, err := placeholders(nil, p.Data)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if s.num >= attachments {
			return ErrPlaceholder
		}
	}
	w := &awaited{packet: *p, missing: attachments, bytes: size}
	w.packet.Data = bytes.Clone(p.Data)
	w.packet.Attachments = make([][]byte, 0, min(attachments, MaxAttachments))
	d.awaiting = w
	return nil
}

// intern returns the name without an allocation when it is the last one.
func (d *Decoder) intern(name []byte) string {
	if len(name) == 1 {
		return rootNamespace
	}
	if string(name) == d.namespace {
		return d.namespace
	}
	s := strings.Clone(conv.String(name))
	if len(s) <= maxCachedNamespace {
		d.namespace = s
	}
	return s
}

// maxExactID is up to where a client in JavaScript counts exactly.
const maxExactID = 1 << 53

// parseID reads an acknowledgement id. As in Node, which takes a space for a
// digit and converts the whole to a number afterwards, space may stand around
// the digits, space alone is 0, and a number above 2^53 is rounded.
func parseID(b []byte, i int) (id uint64, has bool, next int, err error) {
	start := i
	i = skipIDSpace(b, i)
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		c := uint64(b[i] - '0')
		if id > (1<<64-1-c)/10 {
			return 0, false, 0, ErrID
		}
		id = id*10 + c
	}
	i = skipIDSpace(b, i)
	if i < len(b) && b[i]-'0' <= 9 {
		return 0, false, 0, ErrID
	}
	if id > maxExactID {
		rounded := float64(id)
		if rounded >= 1<<64 {
			return 0, false, 0, ErrID
		}
		id = uint64(rounded)
	}
	return id, i > start, i, nil
}

// skipIDSpace passes over what JavaScript ignores around a number.
func skipIDSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i]-'\t' <= '\r'-'\t') {
		i++
	}
	return i
}

// payload checks the payload of a packet and returns it without the space that
// follows.
func payload(t Type, b []byte, maxDepth int) ([]byte, error) {
	allowed := false
	switch t {
	case Connect:
		allowed = b[0] == '{'
	case Event, Ack:
		allowed = b[0] == '['
	case ConnectError:
		allowed = b[0] == '{' || b[0] == '"'
	}
	if !allowed {
		return nil, ErrPayload
	}
	end, err := scan(b, 0, maxDepth)
	if err != nil {
		return nil, err
	}
	if jsontext.SkipSpace(b, end) != len(b) {
		return nil, ErrPayload
	}
	if t == Event {
		if err := checkName(b); err != nil {
			return nil, err
		}
	}
	return b[:end:end], nil
}

// checkName looks at the name of an event, the first element of a valid array:
// it must be a number or a string that is not reserved.
func checkName(array []byte) error {
	i := jsontext.SkipSpace(array, 1)
	if jsontext.IsNumber(array[i]) {
		return nil
	}
	if array[i] != '"' {
		return ErrPayload
	}
	end := jsontext.SkipString(array, i+1)
	if name := array[i+1 : end-1]; len(name) <= len("removeListener") && IsReserved(conv.String(name)) {
		return ErrReserved
	} else if bytes.IndexByte(name, '\\') >= 0 {
		var buf [64]byte
		if text := jsontext.Unquote(buf[:0], name); IsReserved(conv.String(text)) {
			return ErrReserved
		}
	}
	return nil
}
