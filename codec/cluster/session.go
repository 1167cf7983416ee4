package cluster

import (
	"encoding/base64"

	"github.com/fe4bcecb/wsd/codec/msgpack"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// Session is the state of a client that went away and may return: what Node's
// adapters keep of it.
type Session struct {
	SID   string   // the socket's public id
	PID   string   // its secret one, by which it is found
	Rooms []string // with that of its own id, while it is in it
	Data  []byte   // JSON of what the application attached
}

// AppendSession appends a session as the streams adapter keeps it: base64 of
// MessagePack. The error is [ErrMessage], and dst is returned unchanged with it.
func AppendSession(dst []byte, s *Session) ([]byte, error) {
	if s.SID == "" || s.PID == "" {
		return dst, errSession
	}
	w := writer{packed: true, dialect: msgpack.MsgpackJS}
	w.open(4)
	w.key("sid")
	w.text(s.SID)
	w.key("pid")
	w.text(s.PID)
	w.key("rooms")
	w.names(s.Rooms)
	w.key("data")
	w.object(s.Data)
	w.close()
	if w.err != nil {
		return dst, w.err
	}
	return base64.StdEncoding.AppendEncode(dst, w.dst), nil
}

// ParseSession reads what AppendSession, or Node, wrote. Binary data in Data is
// what JSON.stringify makes of a Buffer. The error is [ErrMessage].
func ParseSession(b []byte) (*Session, error) {
	packed, err := decodeBase64(conv.String(b))
	if err != nil {
		return nil, err
	}
	v, err := parsePacked(packed)
	if err != nil {
		return nil, err
	}
	d, ok := v.members()
	if !ok {
		return nil, errSession
	}
	s := &Session{}
	s.SID, _ = d.sid.text()
	s.PID, _ = d.pid.text()
	if s.SID == "" || s.PID == "" {
		return nil, errSession
	}
	if s.Rooms, err = d.rooms.names(); err != nil {
		return nil, err
	}
	s.Data, err = d.data.object()
	return s, err
}
